"""What a decoder computes on the way to its logits, and batches padded on either side."""

import torch
from transformers import PreTrainedModel


def padded(rows: list[torch.Tensor]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Ids and mask of the same sequences, `[rows, longest]`, by the side of the padding."""
    longest = max(len(row) for row in rows)
    out = {}
    for side in ("right", "left"):
        ids, mask = torch.zeros(len(rows), longest, dtype=torch.long), torch.zeros(len(rows), longest, dtype=torch.long)
        for i, row in enumerate(rows):
            where = slice(0, len(row)) if side == "right" else slice(longest - len(row), longest)
            ids[i, where], mask[i, where] = row, 1
        out[side] = (ids, mask)
    return out


def positions(mask: torch.Tensor) -> torch.Tensor:
    """Counted from the first real token, as `generate` counts them."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def activations(tiny: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """Embedding, each block, final norm, logits and the log-probability of each next token; 0 at padding."""
    decoder = tiny.base_model
    blocks, norm = (decoder.h, decoder.ln_f) if hasattr(decoder, "h") else (decoder.layers, decoder.norm)
    seen = {}

    def note(name: str, value) -> None:
        seen[name] = value[0] if isinstance(value, tuple) else value

    # The embedding's output is what the first block is given: scaled in Gemma, with positions in GPT-2.
    hooks = [blocks[0].register_forward_pre_hook(lambda _, inputs: note("embeddings", inputs))]
    hooks += [block.register_forward_hook(lambda _m, _i, out, i=i: note(f"block.{i}", out)) for i, block in enumerate(blocks)]
    hooks.append(norm.register_forward_hook(lambda _m, _i, out: note("norm", out)))
    with torch.no_grad():
        seen["logits"] = tiny(input_ids=ids, attention_mask=mask, position_ids=positions(mask)).logits
    for hook in hooks:
        hook.remove()
    logps = seen["logits"][:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
    out = {name: value.masked_fill(mask[..., None] == 0, 0.0) for name, value in seen.items()}
    out["logps"] = logps.masked_fill(mask[:, 1:] * mask[:, :-1] == 0, 0.0)
    return out
