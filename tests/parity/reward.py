"""fixtures/reward: a tiny reward model with its tokenizer, and its rewards for pairs, alone and in padded batches."""

import torch
from transformers import AutoModelForSequenceClassification, LlamaForSequenceClassification

from fixture import f32_list, folder, save_json, versions, worst
from tiny import model, save_tokenizer

PAIRS = [
    ("Tell me a story about the sea.", "The fox went to the sea.\n\nThe end."),
    ("Tell me a story about the sea.", "The hen said that there was nothing there."),
    ("Write!", ""),
    ("", "One lamp."),
    ("Über naïve façades 🦊", "「海の話」を書いて\n\n— 🌊"),
]
# transformers never reads the reward off a token that is also the padding, even where it is text.
ENDS_IN_PADDING = "The fox and the hen.<|pad|><|pad|>"


def as_tags(prompt: str, response: str) -> str:
    """The text of a pair, as the paper's reward model reads it."""
    return f"<prompt>{prompt}</prompt><response>{response}</response>"


def as_chat(tokenizer, prompt: str, response: str) -> list[int]:
    """A pair as a conversation."""
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    return tokenizer.apply_chat_template(turns)["input_ids"]


def rewards(tiny, tokenizer, rows: list[list[int]]) -> dict[str, torch.Tensor]:
    """The reward of each row: in a batch padded on either side, and alone."""
    out = {}
    with torch.no_grad():
        for side in ("right", "left"):
            batch = tokenizer.pad({"input_ids": rows}, padding_side=side, return_tensors="pt")
            out[side] = tiny(**batch).logits[:, 0]
        out["single"] = torch.cat([tiny(input_ids=torch.tensor([row])).logits[:, 0] for row in rows])
    return out


if __name__ == "__main__":
    path = folder("reward")
    tokenizer = save_tokenizer(path)
    model(seed=6, architecture=LlamaForSequenceClassification, num_labels=1, hidden_size=16).save_pretrained(path)
    tiny, exact = (
        AutoModelForSequenceClassification.from_pretrained(path, dtype=dtype, attn_implementation="eager").eval()
        for dtype in (torch.float32, torch.float64)
    )
    texts = [as_tags(*pair) for pair in PAIRS] + [ENDS_IN_PADDING]
    rows = [tokenizer(text)["input_ids"] for text in texts]
    found = rewards(tiny, tokenizer, rows)
    for side in ("right", "left"):
        assert torch.allclose(found[side], found["single"], atol=1e-5)
    chats = [as_chat(tokenizer, *pair) for pair in PAIRS]
    save_json(
        path / "expected.json",
        {
            "versions": versions("torch", "transformers"),
            "f64_difference": worst(found["single"], rewards(exact, tokenizer, rows)["single"]),
            "pairs": PAIRS,
            "texts": texts,
            "ids": rows,
            "rewards": {name: f32_list(values) for name, values in found.items()},
            "chat": {"ids": chats, "rewards": f32_list(rewards(tiny, tokenizer, chats)["single"])},
        },
    )
