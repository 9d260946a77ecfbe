"""fixtures/families: a tiny model of every decoder with what transformers, peft and TRL compute from it.

`decoders.py` lists the models. Each folder holds the model, an adapter, and the answers.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.models.gemma2.modeling_gemma2 import Gemma2PreTrainedModel
from transformers.models.gemma3.modeling_gemma3 import Gemma3PreTrainedModel

from activations import activations, padded, positions
from family_pairs import pairs, texts, tokenizer
from fixture import f32_list, folder, save_json, save_tensors, versions, worst
from generate import greedy
from hub import hub_json
from losses import losses_and_gradients
from objectives import BETA, LAMBDA, collate, logps
from tiny import load_model, randomise
from train import LEARNING_RATE, PAIRS_PER_STEP, Run, by_trl, compare_with_trl, lora, order, save_adapter, train
from decoders import ORIGINAL, DECODERS, VOCAB, Variant

OBJECTIVES = ["sft", "dpo", "ddpo", "orpo", "dorpo"]
# DPO and ORPO are DDPO and DORPO at weight 1, and their ten steps follow their gradients.
STORED_GRADIENTS = ["sft", "ddpo", "dorpo"]
# A penalty, since a tiny model whose head is its embedding says the last token again and again.
ROWS, NEW_TOKENS, REPETITION_PENALTY = (11, 7, 1), 12, 1.3
# A family is covered by one of its models.
SEVERAL_LABELS = ("llama31", "gpt2")


def save_models(name: str, path: Path, seed: int) -> None:
    """Model, adapter and both configurations, which must say the same."""
    torch.manual_seed(seed)
    tiny = AutoModelForCausalLM.from_config(DECODERS[name].tiny())
    # Gemma's norms multiply by one more than their weight.
    gemma = isinstance(tiny, (Gemma2PreTrainedModel, Gemma3PreTrainedModel))
    randomise(tiny, norms=0.0 if gemma else 1.0, spread=0.3).save_pretrained(path)
    (path / "generation_config.json").unlink()
    save_json(path / "config.hub.json", hub_json(name))
    save_adapter(path, path / "adapter", seed, targets="all-linear", rank=2)


def rows(lengths: tuple[int, ...], seed: int) -> list[torch.Tensor]:
    """Random sequences of tokens that are not special."""
    random = torch.Generator().manual_seed(seed)
    return [torch.randint(3, VOCAB, (n,), generator=random) for n in lengths]


def packed(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Only the real positions, one row's after the other's: what both sides of padding have in common."""
    return values[mask == 1]


def real_activations(tiny, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every activation at the real tokens."""
    # In f64, transformers makes NaN of padding that sees nothing; padding on the right needs no mask.
    seen = torch.ones_like(mask) if tiny.dtype == torch.float64 else mask
    both = mask[:, 1:] * mask[:, :-1]
    return {name: packed(value, both if name == "logps" else mask) for name, value in activations(tiny, ids, seen).items()}


def activations_of(path: Path, lengths: tuple[int, ...]) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Ids and masks of both sides with their activations, asserted not to depend on the side; what f64 says otherwise."""
    tiny, sides = load_model(path), padded(rows(lengths, seed=5))
    found, left = (real_activations(tiny, *sides[side]) for side in ("right", "left"))
    assert all(torch.allclose(found[name], left[name], atol=2e-5) for name in found), "padding changes nothing"
    exact = real_activations(load_model(path, torch.float64), *sides["right"])
    ids = {f"{side}.{name}": value for side, both in sides.items() for name, value in zip(("input_ids", "attention_mask"), both)}
    return ids | found, {key: worst(found[key], exact[key]) for key in ("norm", "logits", "logps")}


def logits_of(tiny, lengths: tuple[int, ...]) -> torch.Tensor:
    """Logits at the real tokens."""
    ids, mask = padded(rows(lengths, seed=5))["right"]
    with torch.no_grad():
        return packed(tiny(input_ids=ids, attention_mask=mask, position_ids=positions(mask)).logits, mask)


def check_configurations(variant: Variant, path: Path, lengths: tuple[int, ...]) -> None:
    """The hub's spelling gives the same logits, and what the configuration says matters."""
    expected = logits_of(load_model(path), lengths)

    def under(config) -> torch.Tensor:
        return logits_of(AutoModelForCausalLM.from_pretrained(path, config=config, dtype=torch.float32).eval(), lengths)

    hub = AutoConfig.from_pretrained(path / "config.hub.json", attn_implementation="eager")
    assert torch.equal(under(hub), expected)
    for change in variant.matters:
        assert (under(variant.tiny(**change)) - expected).abs().max() > 2e-3, change


def io(variant: Variant, path: Path) -> dict[str, float]:
    """io.safetensors: activations, adapted logits; what f64 says otherwise."""
    spread, tensors = {}, {}
    for prefix, lengths in [("", ROWS)] + ([("long.", variant.long)] if variant.long else []):
        check_configurations(variant, path, lengths)
        found, differences = activations_of(path, lengths)
        spread |= {prefix + key: value for key, value in differences.items()}
        tensors |= {prefix + key: value for key, value in found.items()}
    adapted = lora(path, path / "adapter")
    tensors["adapter.logits"] = logits_of(adapted, ROWS)
    tensors["merged.logits"] = logits_of(adapted.merge_and_unload(), ROWS)
    assert (tensors["adapter.logits"] - tensors["logits"]).abs().max() > 0.1, "the adapter does something"
    assert torch.allclose(tensors["adapter.logits"], tensors["merged.logits"], atol=1e-4)
    save_tensors(path / "io.safetensors", tensors)
    return spread


def merged(path: Path):
    """The model with its adapter folded in: the reference of full fine-tuning."""
    return lora(path, path / "adapter").merge_and_unload()


def losses(path: Path) -> dict:
    """gradients.safetensors, and losses of the first four pairs; the reference is the policy under the adapter."""
    batch = collate(pairs()[:PAIRS_PER_STEP])
    results = {}
    for dtype in (torch.float32, torch.float64):
        if dtype == torch.float64:
            batch.attention_mask = torch.ones_like(batch.attention_mask)
        with torch.no_grad():
            reference = logps(merged(path).to(dtype), batch)
        results[dtype] = losses_and_gradients(load_model(path, dtype), reference, batch, OBJECTIVES)
    (values, per_pair, gradients), (_, _, exact) = results.values()
    stored = {name: value for name, value in gradients.items() if name.split(".")[0] in STORED_GRADIENTS}
    save_tensors(path / "gradients.safetensors", stored)
    return {
        "logps": {name: f32_list(value) for name, value in values.items() if not name.endswith("mean_sequence")},
        "losses": {name: f32_list(value) for name, value in per_pair.items()},
        "gradient_norm": {
            objective: f32_list(torch.cat([g.flatten() for name, g in gradients.items() if name.split(".")[0] == objective]).norm())
            for objective in OBJECTIVES
        },
        "gradients_f64_difference": max(worst(stored[name], exact[name]) for name in stored),
    }


def runs(path: Path) -> dict:
    """Ten steps of every objective, full (reference: the adapted policy) and LoRA (reference: the adapter it starts from).

    TRL's trainers repeat the weighted ones. Final parameters of DDPO go to trained.safetensors.
    """
    out, finals, gradients = {}, {}, load_file(path / "gradients.safetensors")
    for objective in OBJECTIVES:
        for kind in ("full", "lora"):
            run = Run(objective, weight_decay=0.01, train=kind, reference="adapter")

            def start():
                if kind == "full":
                    return load_model(path), merged(path)
                return lora(path, path / "adapter"), lora(path, path / "adapter", trainable=False)

            curves, final = train(run, *start(), pairs())
            final = determined(final, gradients)
            out[f"{objective}.{kind}"] = {key: curves[key] for key in ("loss", "grad_norm")}
            if objective in ("ddpo", "dorpo"):
                log, repeated = by_trl(run, *start(), tokenizer(), texts())
                out[f"{objective}.{kind}"]["trl_difference"] = compare_with_trl(run, (curves, final), (log, determined(repeated, gradients)))
            if objective == "ddpo":
                finals |= {f"{kind}.{name}": value for name, value in final.items()}
    save_tensors(path / "trained.safetensors", finals)
    return out


def determined(parameters: dict[str, torch.Tensor], gradients: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """0 in the place of parameters that rounding moves: AdamW divides a gradient by its own size, however small.

    Small ones occur; GPT-2's bias of keys has no other: without rotation it moves every score of a query
    alike, and the softmax takes that away.
    """
    for name, value in parameters.items():
        gradient = gradients.get(f"ddpo.{name}")
        if gradient is not None:
            value[(gradient != 0) & (gradient.abs() < 1e-6)] = 0.0
        if name.endswith("attn.c_attn.bias"):
            value.chunk(3)[1].zero_()
    return parameters


def continuations(variant: Variant, path: Path) -> dict:
    """Greedy tokens of two prompts padded on the left; where the rotation changes with length, also of one that grows past it."""

    tiny = load_model(path)
    tiny.generation_config.eos_token_id = None

    def clear(lengths: tuple[int, ...]) -> dict:
        # The first prompts whose choices are varied and not too close to call.
        for seed in range(100):
            ids, mask = padded(rows(lengths, seed))["left"]
            try:
                found = greedy(tiny, ids, mask, max_new_tokens=NEW_TOKENS, repetition_penalty=REPETITION_PENALTY)
            except AssertionError:
                continue
            if all(len(set(row)) >= 4 for row in found["new_ids"]):
                prompts = [row[keep == 1].tolist() for row, keep in zip(ids, mask)]
                return {"prompts": prompts, "new_ids": found["new_ids"], "smallest_lead": found["smallest_lead"]}
        raise AssertionError("no prompt of a hundred has a clear continuation")

    out = {"batch": clear((6, 3))}
    if variant.long:
        out["crossing"] = clear((ORIGINAL - NEW_TOKENS // 2,))
    return out


def rewards(name: str, path: Path) -> dict:
    """reward.safetensors: `score.weight` and its readings of the io batch, for one label and, in some models, two.

    A classifier's folder is the decoder's without head, and `score.weight`, which is asserted here and not stored.
    """
    out, tensors = {}, {}
    for labels in (1, 2) if name in SEVERAL_LABELS else (1,):
        config = AutoConfig.from_pretrained(path, num_labels=labels, attn_implementation="eager", dtype=torch.float32)
        tiny = AutoModelForSequenceClassification.from_config(config).eval()
        decoder = {key: value for key, value in load_model(path).state_dict().items() if not key.startswith("lm_head")}
        head = torch.randn(labels, config.hidden_size, generator=torch.Generator().manual_seed(labels)) / 2
        tiny.load_state_dict(decoder | {"score.weight": head}, strict=True)
        tensors[f"score.{labels}"] = tiny.score.weight
        scores = []
        for ids, mask in padded(rows(ROWS, seed=5)).values():
            with torch.no_grad():
                # GPT-2's classifier would count positions from the row's first place, padding included.
                scores.append(tiny(input_ids=ids, attention_mask=mask, position_ids=positions(mask)).logits)
        assert torch.allclose(*scores, atol=1e-5)
        tensors[f"logits.{labels}"] = scores[0]
        config.architectures = [type(tiny).__name__]
        out[f"{labels}"] = {key: value for key, value in config.to_diff_dict().items() if key != "_name_or_path"}
    save_tensors(path / "reward.safetensors", tensors)
    return out


def main() -> None:
    root = folder("families")
    save_json(root / "pairs.json", pairs())
    tokenizer().save_pretrained(root)
    # Seeds of models whose ten steps rounding does not carry away: Gemma 3's seven layers make it larger with each.
    for seed, (name, variant) in enumerate(DECODERS.items(), start=101):
        print(name, file=sys.stderr)
        path = folder(f"families/{name}")
        save_models(name, path, seed)
        save_json(
            path / "expected.json",
            {
                "family": variant.family,
                "about": variant.about,
                "f64_difference": io(variant, path),
                **losses(path),
                "runs": runs(path),
                "greedy": continuations(variant, path),
                "reward_config": rewards(name, path),
            },
        )
    save_json(
        root / "settings.json",
        {
            "versions": versions("torch", "transformers", "trl", "peft"),
            "variants": list(DECODERS),
            "beta": BETA,
            "lambda": LAMBDA,
            "pairs_per_step": PAIRS_PER_STEP,
            "order": order(len(pairs())),
            "learning_rate": LEARNING_RATE,
            "weight_decay": 0.01,
            "clip": 1.0,
            "repetition_penalty": REPETITION_PENALTY,
        },
    )


if __name__ == "__main__":
    main()
