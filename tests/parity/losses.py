"""fixtures/losses: per-pair losses and the gradient of the mean batch loss for every parameter, for each objective."""

import torch

from fixture import folder, f32_list, save_json, save_tensors, versions, worst
from objectives import BETA, LAMBDA, MEAN_BETA, SIMPO_GAMMA, SPL_ALPHA, VARIANTS, Batch, Logps, collate, logps, per_pair
from pairs import POLICY, REFERENCE, TEXTS, tokenised
from tiny import load_model, model, save_tokenizer
from trl_peers import cpo_inputs, cpo_trainer, dpo_inputs, dpo_trainer, orpo_inputs, orpo_trainer

OBJECTIVES = ["dpo", "ddpo", "orpo", "orpo_sequence", "dorpo", "dorpo_reference", "sft", "sft_sequence", *VARIANTS]
STORED_GRADIENTS = ["dpo", "ddpo", "orpo", "dorpo", "dorpo_reference", "sft"]
# Of the others, which go the same way, a matrix, a norm and the norm of all gradients together.
SAMPLED_GRADIENTS = [name for name in OBJECTIVES if name not in STORED_GRADIENTS]
SAMPLED_PARAMETERS = ["model.layers.1.self_attn.v_proj.weight", "model.norm.weight"]


def save_models() -> None:
    """Policy and reference: half as wide as fixtures/llama, to keep gradients small."""
    for seed, path in ((11, POLICY), (12, REFERENCE)):
        path.mkdir(parents=True, exist_ok=True)
        model(seed, hidden_size=16, intermediate_size=24).save_pretrained(path)
        save_tokenizer(path)


def losses_and_gradients(policy, reference: tuple[Logps, Logps], batch: Batch, objectives: list[str]) -> tuple[dict, dict, dict]:
    """(log-probabilities, losses per pair, gradients of their means) in the policy's precision."""
    weight = batch.weight.to(policy.dtype)
    values, losses, gradients = {}, {}, {}
    for objective in objectives:
        out = logps(policy, batch)
        loss = per_pair(objective, out, reference, weight)
        losses[objective] = loss.detach()
        policy.zero_grad()
        loss.mean().backward()
        gradients |= {f"{objective}.{name}": p.grad.clone() for name, p in policy.named_parameters()}
    for who, sides in (("policy", out), ("reference", reference)):
        for name, side in zip(("chosen", "rejected"), sides):
            values |= {f"{who}.{name}.{key}": value.detach() for key, value in vars(side).items()}
    return values, losses, gradients


def of_folders(dtype: torch.dtype, batch: Batch) -> tuple[dict, dict, dict]:
    """The same of the two tiny LLaMAs, for every objective."""
    with torch.no_grad():
        reference = logps(load_model(REFERENCE, dtype), batch)
    return losses_and_gradients(load_model(POLICY, dtype), reference, batch, OBJECTIVES)


def one(batch: Batch, i: int) -> Batch:
    """A single pair of the batch, still padded."""
    n = len(batch.weight)
    rows = [i, n + i]
    return Batch(batch.input_ids[rows], batch.attention_mask[rows], batch.completion_mask[rows], batch.weight[[i]])


def check_against_trl(tokenizer, batch: Batch, losses: dict, gradients: dict) -> dict:
    """Asserts that TRL's code gives the same; returns the differences seen."""
    seen = {}

    def same(name: str, ours: torch.Tensor, theirs: torch.Tensor, atol: float = 2e-6) -> None:
        # Rounding is of the size of the largest value, which is about 40 in a gradient of IPO.
        atol *= max(1.0, theirs.abs().max().item())
        assert torch.allclose(ours, theirs, atol=atol, rtol=1e-5), (name, ours, theirs)
        seen[name] = max(seen.get(name, 0.0), worst(ours, theirs))

    n = len(batch.weight)
    policy = load_model(POLICY)
    trainer = dpo_trainer(policy, load_model(REFERENCE), tokenizer, TEXTS[:n])
    collated = trainer.data_collator([trainer.train_dataset[i] for i in range(n)])
    assert all(torch.equal(collated[key], value) for key, value in dpo_inputs(batch).items())
    for i in range(n):
        same("dpo.per_pair", losses["dpo"][i], trainer.compute_loss(policy, dpo_inputs(one(batch, i))))
    trainer.compute_loss(policy, dpo_inputs(batch)).backward()
    for name, parameter in policy.named_parameters():
        same("dpo.gradients", gradients[f"dpo.{name}"], parameter.grad)

    for name, beta in VARIANTS.items():
        if name == "spl":
            continue
        policy = load_model(POLICY)
        if name == "simpo":
            trainer = cpo_trainer(policy, tokenizer, TEXTS[:n], beta=beta, simpo_gamma=SIMPO_GAMMA)
            inputs = cpo_inputs
        else:
            trainer = dpo_trainer(policy, load_model(REFERENCE), tokenizer, TEXTS[:n], beta=beta, loss_type=[name])
            inputs = dpo_inputs
        for i in range(n):
            same(f"{name}.per_pair", losses[name][i], trainer.compute_loss(policy, inputs(one(batch, i))))
        trainer.compute_loss(policy, inputs(batch)).backward()
        for parameter_name, parameter in policy.named_parameters():
            same(f"{name}.gradients", gradients[f"{name}.{parameter_name}"], parameter.grad)

    policy = load_model(POLICY)
    trainer = orpo_trainer(policy, tokenizer, TEXTS[:n])
    for i, row in enumerate(trainer.train_dataset):
        real = batch.attention_mask[i] == 1
        assert row["chosen_input_ids"] == batch.input_ids[i][real].tolist()
    # TRL pools the NLL over the tokens of a batch, so its mean over pairs needs batches of one.
    total = 0.0
    for i in range(n):
        loss = trainer.compute_loss(policy, orpo_inputs(one(batch, i)))
        same("orpo_sequence.per_pair", losses["orpo_sequence"][i], loss)
        total = total + loss / n
    policy.zero_grad()
    total.backward()
    for name, parameter in policy.named_parameters():
        same("orpo_sequence.gradients", gradients[f"orpo_sequence.{name}"], parameter.grad)

    for objective, mask in (("sft", batch.completion_mask), ("sft_sequence", batch.attention_mask)):
        for i in range(n):
            labels = batch.input_ids.masked_fill(mask == 0, -100)[[i]]
            theirs = policy(input_ids=batch.input_ids[[i]], attention_mask=batch.attention_mask[[i]], labels=labels).loss
            same(f"{objective}.per_pair", losses[objective][i], theirs)
    return seen


def main() -> None:
    save_models()
    path = folder("losses")
    tokenizer = save_tokenizer(POLICY)
    pairs = tokenised(tokenizer, TEXTS)
    batch = collate(pairs[:4])
    values, losses, gradients = of_folders(torch.float32, batch)
    exact = of_folders(torch.float64, batch)
    trl = check_against_trl(tokenizer, batch, losses, gradients)

    assert torch.equal(losses["ddpo"], losses["dpo"] * batch.weight)
    stored = {name: value for name, value in gradients.items() if name.split(".")[0] in STORED_GRADIENTS}
    save_tensors(path / "gradients.safetensors", stored)
    sampled = {f"{name}.{parameter}": gradients[f"{name}.{parameter}"] for name in SAMPLED_GRADIENTS for parameter in SAMPLED_PARAMETERS}
    save_tensors(path / "sampled_gradients.safetensors", sampled)
    save_tensors(path / "batch.safetensors", vars(batch))
    save_json(path / "pairs.json", pairs)
    save_json(
        path / "losses.json",
        {
            "versions": versions("torch", "transformers", "trl"),
            "beta": BETA,
            "lambda": LAMBDA,
            "mean_beta": MEAN_BETA,
            "spl_alpha": SPL_ALPHA,
            "simpo_gamma": SIMPO_GAMMA,
            "weight": f32_list(batch.weight),
            "logps": {name: f32_list(value) for name, value in values.items()},
            "losses": {name: f32_list(value) for name, value in losses.items()},
            "batch_loss": {name: f32_list(value.mean()) for name, value in losses.items()},
            "sft_token_mean": f32_list((losses["sft"] * batch.completion_mask[:4].sum(1)).sum() / batch.completion_mask[:4].sum()),
            "about_trl": "asserted equal to TRL's DPOTrainer and ORPOTrainer and to transformers' cross-entropy; the largest differences",
            "trl_difference": trl,
            "about_f64": "largest difference between f32 (stored) and f64, in which transformers keeps norms and softmax in f32",
            "f64_difference": {
                "logps": max(worst(values[key], exact[0][key]) for key in values),
                "losses": max(worst(losses[key], exact[1][key]) for key in losses),
                "gradients": max(worst(stored[key], exact[2][key]) for key in stored),
            },
            "gradient_norm": {
                name: f32_list(torch.cat([g.flatten() for key, g in gradients.items() if key.split(".")[0] == name]).norm())
                for name in OBJECTIVES
            },
        },
    )


if __name__ == "__main__":
    main()
