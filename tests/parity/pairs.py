"""Twelve preference pairs of unequal lengths with their weights, tokenised as TRL does."""

from fixture import FIXTURES
from llama import as_trl_does

# A weight of 0 teaches nothing, one of 1 is plain DPO, the largest is what four responses can reach.
TEXTS = [
    ("Tell me a story:\n", "The fox went to the sea.", "The hen.", 1.6),
    ("Write about the lamp.\n", "There was nothing there, and the one who lit it was in the house.", "It was lit.", 0.0),
    ("A tale of the last sea?\n", "Là-bas, l’océan.", "She said that there was nothing; he said that there was.", 0.4),
    ("Again:\n", "Sea.", "", 2.5),
    ("The hen:\n", "She went in.", "She went in and on and in and on.", 1.0),
    ("On the house\n", "Four stories, one lamp, no hen.", "A house.", 0.7),
    ("What is it?\n", "日本の海", "It is the sea.", 1.3),
    ("User and system\n", "The system said no.", "The user said that.", 0.1),
    ("Fox?\n", "Nothing.", "Fox!", 2.0),
    ("One more, then:\n", "A story about nothing at all, in an hour.", "On and on it went.", 0.9),
    ("Who lit it?\n", "He.", "The last hen in the last house lit the last lamp.", 1.1),
    ("The end\n", "was there in the lamp.", "was there in the sea.", 0.5),
]


def tokenised(tokenizer, texts: list[tuple[str, str, str, float]]) -> list[dict]:
    """Each pair with `prompt_ids`, `chosen_ids`, `rejected_ids` and its weight."""
    out = []
    for prompt, chosen, rejected, weight in texts:
        pair = as_trl_does(tokenizer, prompt, chosen, rejected)
        assert pair["prompt_ids"] == pair.pop("prompt_alone_ids"), "no merge across the boundary here"
        out.append(pair | {"weight": weight})
    return out


POLICY, REFERENCE = FIXTURES / "losses/policy", FIXTURES / "losses/reference"
