"""Preference pairs for the tiny decoders of every family: words that are tokens, so that TRL can read them as text."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from pairs import tokenised
from decoders import ORIGINAL, VOCAB

PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
# (tokens of prompt, chosen, rejected, weight), BOS and EOS not counted: longer than the windows, shorter than
# what phi's rotation is stretched for; one prompt of BOS alone, one completion of EOS alone.
SHAPES = [(3, 6, 2, 1.6), (1, 2, 9, 0.0), (5, 4, 4, 0.4), (0, 1, 3, 2.5), (2, 8, 7, 1.0), (6, 0, 2, 0.7), (4, 3, 1, 1.3), (2, 5, 5, 0.1)]


def tokenizer() -> PreTrainedTokenizerFast:
    """Ids 0 to 2 are special, every other one is a word."""
    words = [PAD, BOS, EOS] + [f"w{i}" for i in range(3, VOCAB)]
    plain = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=PAD))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    plain.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 1)])
    return PreTrainedTokenizerFast(tokenizer_object=plain, pad_token=PAD, bos_token=BOS, eos_token=EOS)


def texts() -> list[tuple[str, str, str, float]]:
    """Random words in those shapes; every completion begins with its blank."""
    random = torch.Generator().manual_seed(41)

    def words(n: int) -> list[str]:
        return [f"w{i}" for i in torch.randint(3, VOCAB, (n,), generator=random).tolist()]

    out = []
    for prompt, chosen, rejected, weight in SHAPES:
        sides = ("".join(f" {word}" for word in words(n)) for n in (chosen, rejected))
        out.append((" ".join(words(prompt)), *sides, weight))
    return out


def pairs() -> list[dict]:
    """The texts as ids."""
    found = tokenised(tokenizer(), texts())
    for pair, (prompt, chosen, rejected, _) in zip(found, SHAPES):
        assert [len(pair[f"{part}_ids"]) for part in ("prompt", "chosen", "rejected")] == [prompt + 1, chosen + 1, rejected + 1]
        assert prompt + 1 + max(chosen, rejected) + 1 < ORIGINAL
    return found
