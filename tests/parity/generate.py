"""fixtures/generate: logits processors in the order `generate` applies them, and greedy continuations of the tiny LLaMA."""

import torch
from transformers import GenerationConfig

from fixture import FIXTURES, folder, save_json, save_tensors, versions
from tiny import load_model

VOCAB, PADDING = 24, 0

# What a sampler can be asked for; "combined" is the paper's evaluation setting scaled to this vocabulary.
SETTINGS = [
    {},
    {"repetition_penalty": 1.1},
    {"repetition_penalty": 0.8},
    {"temperature": 0.7},
    {"temperature": 1.5},
    {"top_k": 1},
    {"top_k": 5},
    {"top_k": 100},  # more than there are tokens
    {"top_p": 0.95},
    {"top_p": 0.55},
    {"top_p": 0.01},  # one token is always kept
    {"top_p": 1.0},
    {"min_p": 0.05},
    {"min_p": 0.5},
    {"min_p": 1.0},
    {"min_p": 0.0},
    {"temperature": 0.5, "top_k": 8},
    {"top_k": 8, "top_p": 0.8},
    {"top_p": 0.9, "min_p": 0.1},
    {"repetition_penalty": 1.3, "temperature": 0.7, "top_k": 10, "top_p": 0.9, "min_p": 0.05},
    {"repetition_penalty": 1.1, "top_k": 12, "top_p": 0.95},
]


def logits_and_histories() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows that are random, peaked, flat, full of ties, far from zero; histories with repeats and left padding."""
    random = torch.Generator().manual_seed(31)
    rows = torch.randn(8, VOCAB, generator=random) * 2.0
    rows[2] *= 6.0  # nearly all mass on one token
    rows[3] = 0.75  # all equal
    rows[4] = (rows[4] * 0.5).round()  # many ties, also at 0
    rows[5] += 50.0
    rows[6] -= 50.0  # all negative: a penalty pushes them down
    rows[7, :12] = 3.0  # a tie wider than top_k
    histories = torch.randint(1, VOCAB, (8, 6), generator=random)
    histories[1] = torch.tensor([7, 7, 7, 9, 9, 7])  # repeats are penalised once
    histories[5, :3] = PADDING
    mask = torch.ones_like(histories)
    mask[5, :3] = 0  # padding is not a token that was said
    return rows, histories, mask


def processed(tiny, settings: dict, logits: torch.Tensor, histories: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """What `generate(do_sample=True, **settings)` would draw from; nothing is set that is not asked for."""
    config = GenerationConfig(**({"do_sample": True, "top_k": 0, "top_p": 1.0, "temperature": 1.0} | settings))
    processors = tiny._get_logits_processor(
        config, input_ids_seq_length=histories.shape[1], device="cpu", model_kwargs={"attention_mask": mask}
    )
    return processors(histories, logits.clone())


def ties_are_split(before: torch.Tensor, after: torch.Tensor) -> list[int]:
    """Rows in which one of several equal logits was kept and another removed: which one is the sort's affair."""
    out = []
    for i, (row, kept) in enumerate(zip(before, after.isfinite())):
        if set(row[kept].tolist()) & set(row[~kept].tolist()):
            out.append(i)
    return out


def assert_clear_cut(settings: dict, seen: torch.Tensor) -> None:
    """No cumulative probability lies so near the threshold that rounding decides what is kept."""
    if settings.get("top_p", 1.0) < 1.0:
        cumulative = seen.sort(descending=False).values.softmax(-1).cumsum(-1)
        assert (cumulative - (1 - settings["top_p"])).abs().min() > 1e-4, settings


def save_processors(tiny) -> None:
    """processors.safetensors: `logits`, `histories`, `mask`, and `out.<case>`."""
    logits, histories, mask = logits_and_histories()
    tensors, cases = {"logits": logits, "histories": histories, "mask": mask}, []
    for i, settings in enumerate(SETTINGS):
        out = processed(tiny, settings, logits, histories, mask)
        # Ties are judged on the logits that the filters saw.
        seen = processed(
            tiny, {k: v for k, v in settings.items() if k in ("repetition_penalty", "temperature")}, logits, histories, mask
        )
        before_top_p = {k: v for k, v in settings.items() if k not in ("top_p", "min_p")}
        assert_clear_cut(settings, processed(tiny, before_top_p, logits, histories, mask))
        tensors[f"out.{i:02}"] = out
        cases.append({"out": f"out.{i:02}", "settings": settings, "split_ties": ties_are_split(seen, out)})
    path = folder("generate")
    save_tensors(path / "processors.safetensors", tensors)
    save_json(
        path / "processors.json",
        {
            "versions": versions("torch", "transformers"),
            "about": "removed tokens are -inf; in the rows of split_ties compare sorted values, not places",
            "cases": cases,
        },
    )


def greedy(tiny, ids: torch.Tensor, mask: torch.Tensor, max_new_tokens: int = 20, **settings) -> dict:
    """Greedy tokens, and by how much the chosen one led: a lead above the rounding means that ids must be equal."""
    out = tiny.generate(
        input_ids=ids,
        attention_mask=mask,
        generation_config=GenerationConfig(
            do_sample=False,
            max_new_tokens=max_new_tokens,
            pad_token_id=PADDING,
            output_scores=True,
            return_dict_in_generate=True,
            **settings,
        ),
    )
    new = out.sequences[:, ids.shape[1] :]
    top = torch.stack(out.scores, 1).topk(2).values  # [batch, steps, 2]
    ended = torch.zeros(len(ids), dtype=torch.bool)
    lead = float("inf")
    eos = settings.get("eos_token_id", [])
    for step in range(new.shape[1]):
        lead = min([lead] + (top[:, step, 0] - top[:, step, 1])[~ended].tolist())
        ended |= torch.isin(new[:, step], torch.tensor(eos, dtype=torch.long))
    assert lead > 1e-3, "a greedy choice too close to call: take another seed"
    return {"settings": settings, "new_ids": new.tolist(), "smallest_lead": float(f"{lead:.2g}")}


def save_greedy(tiny) -> None:
    """greedy.json: a left-padded batch of prompts of lengths 9, 4 and 1."""
    random = torch.Generator().manual_seed(32)
    rows = [torch.randint(5, 300, (n,), generator=random).tolist() for n in (9, 4, 1)]
    ids = torch.tensor([[PADDING] * (9 - len(row)) + row for row in rows])
    mask = (ids != PADDING).long()
    free = greedy(tiny, ids, mask)
    # Ends that come at different steps in different rows, and in one row never if possible.
    first, second = free["new_ids"][0][6], free["new_ids"][1][11]
    runs = [
        free,
        greedy(tiny, ids, mask, eos_token_id=[first]),
        greedy(tiny, ids, mask, eos_token_id=[first, second]),
        greedy(tiny, ids, mask, repetition_penalty=1.3),
        greedy(tiny, ids, mask, repetition_penalty=1.3, eos_token_id=[first]),
    ]
    for row, prompt in enumerate(rows):
        alone = greedy(tiny, torch.tensor([prompt]), torch.ones(1, len(prompt), dtype=torch.long))
        assert alone["new_ids"][0] == free["new_ids"][row], "padding changes nothing"
    save_json(
        folder("generate") / "greedy.json",
        {
            "versions": versions("torch", "transformers"),
            "model": "llama",
            "pad_token_id": PADDING,
            "prompts": rows,
            "input_ids": ids.tolist(),
            "attention_mask": mask.tolist(),
            "runs": runs,
        },
    )


if __name__ == "__main__":
    model = load_model(FIXTURES / "llama")
    save_processors(model)
    save_greedy(model)
