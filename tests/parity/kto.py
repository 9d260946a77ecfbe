"""fixtures/losses/kto.json, kto_gradients.safetensors: KTO on the pairs of losses.py, taken apart into labelled completions.

As TRL takes pairs apart: all chosen completions, then all rejected ones; the completion of the one before, in a
ring, is what the estimate of the KL divergence puts in the place of each one's own.
"""

import torch
from datasets import Dataset

from fixture import f32_list, folder, save_json, save_tensors, versions, worst
from losses import SAMPLED_PARAMETERS
from objectives import BETA, DESIRABLE_WEIGHT, UNDESIRABLE_WEIGHT, Batch, collate, kto, logps
from pairs import POLICY, REFERENCE, TEXTS, tokenised
from tiny import load_model, load_tokenizer
from trl_peers import kto_trainer

PAIRS = 4
# Either model as the policy: the estimate of the KL divergence is positive one way and cut off at 0 the other.
CASES = {"forward": (POLICY, REFERENCE), "backward": (REFERENCE, POLICY)}


def labelled(pairs: list[dict]) -> list[dict]:
    """Completions with their prompts, their labels, and the completions of the ones before."""
    rows = [
        {"prompt_ids": pair["prompt_ids"], "completion_ids": pair[f"{side}_ids"], "label": side == "chosen", "weight": pair["weight"]}
        for side in ("chosen", "rejected")
        for pair in pairs
    ]
    return [row | {"mismatched_ids": rows[i - 1]["completion_ids"]} for i, row in enumerate(rows)]


def batch_of(rows: list[dict]) -> Batch:
    """The rows with their own completions, then with the mismatched ones."""
    return collate([row | {"chosen_ids": row["completion_ids"], "rejected_ids": row["mismatched_ids"]} for row in rows])


def texts(order: list[int]) -> Dataset:
    """The same rows as text, for TRL."""
    rows = [
        {"prompt": TEXTS[i][0], "completion": TEXTS[i][1 + side], "label": side == 0}
        for side in (0, 1)
        for i in order
    ]
    return Dataset.from_list(rows)


def losses_and_gradients(policy_path, reference_path, rows: list[dict], dtype=torch.float32):
    """(losses without weights, the KL estimate, the batch's loss with weights, its gradients)."""
    policy, reference = load_model(policy_path, dtype), load_model(reference_path, dtype)
    batch = batch_of(rows)
    desirable = torch.tensor([row["label"] for row in rows])
    with torch.no_grad():
        ref = logps(reference, batch)
    out = logps(policy, batch)
    weight = batch.weight.to(dtype)
    plain, kl = kto(out, ref, desirable, torch.ones_like(weight))
    plain.mean().backward(retain_graph=True)
    plain_gradients = {name: p.grad.clone() for name, p in policy.named_parameters()}
    policy.zero_grad()
    weighted, _ = kto(out, ref, desirable, weight)
    weighted.mean().backward()
    gradients = {name: p.grad.clone() for name, p in policy.named_parameters()}
    values = {"policy": out, "reference": ref}
    summed = {f"{who}.{name}": side.summed.detach() for who, sides in values.items() for name, side in zip(("own", "mismatched"), sides)}
    return plain.detach(), kl, weighted.detach(), plain_gradients, gradients, summed


def check_against_trl(policy_path, reference_path, plain, kl, gradients, tokenizer) -> dict:
    """Asserts that TRL's KTOTrainer gives the same loss, KL estimate and gradients; returns the differences."""
    policy = load_model(policy_path)
    trainer = kto_trainer(
        policy,
        load_model(reference_path),
        tokenizer,
        texts(list(range(PAIRS))),
        per_device_train_batch_size=2 * PAIRS,
        desirable_weight=DESIRABLE_WEIGHT,
        undesirable_weight=UNDESIRABLE_WEIGHT,
    )
    inputs = trainer.data_collator([trainer.train_dataset[i] for i in range(2 * PAIRS)])
    loss = trainer.compute_loss(policy, inputs)
    loss.backward()
    theirs = {name: p.grad for name, p in policy.named_parameters()}
    differences = {
        "loss": worst(loss, plain.mean()),
        "kl": worst(torch.tensor(trainer._metrics["eval"]["kl"][-1]), kl),
        "gradients": max(worst(gradients[name], theirs[name]) for name in gradients),
    }
    assert differences["loss"] < 2e-6 and differences["kl"] < 2e-5 and differences["gradients"] < 1e-5, differences
    return differences


def main() -> None:
    path = folder("losses")
    tokenizer = load_tokenizer(POLICY)
    rows = labelled(tokenised(tokenizer, TEXTS)[:PAIRS])
    cases, sampled = {}, {}
    for name, (policy, reference) in CASES.items():
        plain, kl, weighted, plain_gradients, gradients, summed = losses_and_gradients(policy, reference, rows)
        exact = losses_and_gradients(policy, reference, rows, torch.float64)
        sampled |= {f"{name}.{parameter}": gradients[parameter] for parameter in SAMPLED_PARAMETERS}
        cases[name] = {
            "logps": {key: f32_list(value) for key, value in summed.items()},
            "kl": f32_list(kl),
            "losses": f32_list(plain),
            "weighted_losses": f32_list(weighted),
            "gradient_norm": f32_list(torch.cat([g.flatten() for g in gradients.values()]).norm()),
            "trl_difference": check_against_trl(policy, reference, plain, kl, plain_gradients, tokenizer),
            "f64_difference": {"losses": worst(plain, exact[0]), "gradients": max(worst(gradients[key], exact[4][key]) for key in gradients)},
        }
    kls = [case["kl"] for case in cases.values()]
    assert min(kls) == 0 < max(kls), kls
    save_tensors(path / "kto_gradients.safetensors", sampled)
    save_json(
        path / "kto.json",
        {
            "versions": versions("torch", "transformers", "trl"),
            "beta": BETA,
            "desirable_weight": DESIRABLE_WEIGHT,
            "undesirable_weight": UNDESIRABLE_WEIGHT,
            "rows": rows,
            "cases": cases,
        },
    )


if __name__ == "__main__":
    main()
