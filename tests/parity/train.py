"""fixtures/train: ten AdamW steps from the tiny policy: losses, gradient norms, learning rates, final parameters, full and LoRA.

Full fine-tuning takes fixtures/losses/reference as the reference policy. LoRA is run twice:
against the frozen copy of the starting adapter (what TRL does), and against the base without adapter.
"""

import json
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import torch
from datasets import concatenate_datasets
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from transformers import get_scheduler

from fixture import FIXTURES, f32_list, folder, save_json, save_tensors, versions, worst
from kto import batch_of, labelled, texts as kto_texts
from objectives import BETA, DESIRABLE_WEIGHT, LAMBDA, MEAN_BETA, SIMPO_GAMMA, SPL_ALPHA, UNDESIRABLE_WEIGHT, VARIANTS, collate, kto, logps, per_pair
from pairs import POLICY, REFERENCE, TEXTS, tokenised
from tiny import load_model, load_tokenizer
from trl_peers import DDPOTrainer, DORPOTrainer, DSimPOTrainer, cpo_trainer, dpo_trainer, kto_trainer, orpo_trainer

STEPS, PAIRS_PER_STEP, WARMUP, LEARNING_RATE = 10, 4, 3, 1e-3
ADAPTER = FIXTURES / "train/adapter"


def order(pairs: int) -> list[int]:
    """Steps walk through the pairs in order, again and again."""
    return [i % pairs for i in range(PAIRS_PER_STEP * STEPS)]


@dataclass
class Run:
    """One training run."""

    objective: str
    schedule: str = "constant"
    weight_decay: float = 0.0
    accumulation: int = 1
    clip: float = 1.0
    # "full", or LoRA against the "adapter" it started from or the "base" without adapter.
    train: str = "full"
    reference: str = "reference"

    @property
    def name(self) -> str:
        parts = [self.objective, self.train, self.schedule, f"decay{self.weight_decay:g}", f"accumulation{self.accumulation}"]
        parts += [f"clip{self.clip:g}"] if self.clip != 1.0 else []
        return "-".join(parts + ([self.reference] if self.train == "lora" else []))


def lora(base=POLICY, adapter=ADAPTER, trainable: bool = True):
    """A saved model under a saved adapter."""
    return PeftModel.from_pretrained(load_model(base), adapter, is_trainable=trainable).eval()


def save_adapter(base: Path, path: Path, seed: int, targets: list[str] | str, rank: int) -> None:
    """An adapter with non-zero B, so that no gradient is zero at the start."""
    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=targets, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM"
    )
    adapted = get_peft_model(load_model(base), config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.2)
    adapted.peft_config["default"].base_model_name_or_path = base.name
    adapted.save_pretrained(path)
    (path / "README.md").unlink(missing_ok=True)
    # peft keeps the target modules as a set, whose order changes from run to run.
    config_path = path / "adapter_config.json"
    settings = json.loads(config_path.read_text())
    settings["target_modules"].sort()
    config_path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    (path / "adapter_model.safetensors").chmod(0o644)


def start(run: Run):
    """(policy, reference) of a run."""
    if run.train == "full":
        return load_model(POLICY), load_model(REFERENCE)
    return lora(), lora(trainable=False) if run.reference == "adapter" else load_model(POLICY)


def optimizer_and_schedule(policy, run: Run):
    """torch's AdamW under transformers' schedule."""
    trained = [p for p in policy.parameters() if p.requires_grad]
    # Norms and biases do not decay, as in transformers' Trainer.
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": run.weight_decay},
        {"params": [p for p in trained if p.dim() == 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, foreach=False)
    return optimizer, get_scheduler(run.schedule, optimizer, num_warmup_steps=WARMUP, num_training_steps=STEPS)


def train(run: Run, policy, reference, pairs: list[dict]) -> tuple[dict, dict[str, torch.Tensor]]:
    """(curves, final trained parameters) of a run."""
    optimizer, schedule = optimizer_and_schedule(policy, run)
    trained = [p for p in policy.parameters() if p.requires_grad]
    curves = {key: [] for key in ("loss", "grad_norm", "learning_rate", "chosen_logps", "rejected_logps")}
    size = PAIRS_PER_STEP // run.accumulation
    for step in range(STEPS):
        indices = order(len(pairs))[step * PAIRS_PER_STEP :][:PAIRS_PER_STEP]
        seen = {"loss": [], "chosen_logps": [], "rejected_logps": []}
        optimizer.zero_grad()
        for micro in range(0, PAIRS_PER_STEP, size):
            batch = collate([pairs[i] for i in indices[micro : micro + size]])
            with torch.no_grad():
                ref = logps(reference, batch)
            out = logps(policy, batch)
            loss = per_pair(run.objective, out, ref, batch.weight)
            if run.objective in ("sft", "dsft"):
                # The mean over tokens, as transformers has it.
                assert run.accumulation == 1
                lengths = batch.completion_mask.chunk(2)[0].sum(1).float()
                loss = loss * lengths / lengths.mean()
            (loss.mean() / run.accumulation).backward()
            seen["loss"].append(loss.detach())
            seen["chosen_logps"].append(out[0].summed.detach())
            seen["rejected_logps"].append(out[1].summed.detach())
        norm = torch.nn.utils.clip_grad_norm_(trained, run.clip, foreach=False)
        curves["grad_norm"].append(f32_list(norm))
        curves["learning_rate"].append(schedule.get_last_lr()[0])
        for key, values in seen.items():
            curves[key].append(f32_list(torch.cat(values).mean()))
        optimizer.step()
        schedule.step()
    return curves, trained_parameters(policy)


def train_kto(run: Run, policy, reference, pairs: list[dict]) -> tuple[dict, dict[str, torch.Tensor]]:
    """The same for KTO: the pairs of a step taken apart, chosen completions first; weights in `dkto` alone."""
    optimizer, schedule = optimizer_and_schedule(policy, run)
    trained = [p for p in policy.parameters() if p.requires_grad]
    curves = {key: [] for key in ("loss", "grad_norm", "learning_rate", "kl")}
    for step in range(STEPS):
        rows = labelled([pairs[i] for i in order(len(pairs))[step * PAIRS_PER_STEP :][:PAIRS_PER_STEP]])
        batch = batch_of(rows)
        with torch.no_grad():
            ref = logps(reference, batch)
        weight = batch.weight if run.objective == "dkto" else torch.ones_like(batch.weight)
        loss, kl = kto(logps(policy, batch), ref, torch.tensor([row["label"] for row in rows]), weight)
        optimizer.zero_grad()
        loss.mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, run.clip, foreach=False)
        for key, value in (("loss", loss.detach().mean()), ("grad_norm", norm), ("kl", kl)):
            curves[key].append(f32_list(value))
        curves["learning_rate"].append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return curves | {"chosen_logps": [], "rejected_logps": []}, trained_parameters(policy)


def trained_parameters(policy) -> dict[str, torch.Tensor]:
    """Of an adapter, or of the whole model, under the names of their files."""
    final = get_peft_model_state_dict(policy) if isinstance(policy, PeftModel) else dict(policy.named_parameters())
    return {name: value.detach().clone() for name, value in final.items()}


# The curves of all of these are stored; the final parameters of those in STORED.
RUNS = [
    Run(objective, schedule, decay, accumulation=accumulation)
    for objective, schedule, decay, accumulation in product(("ddpo", "dorpo"), ("constant", "cosine"), (0.0, 0.01), (1, 4))
]
RUNS += [
    Run("dpo"),
    Run("dpo", "cosine", 0.01),
    Run("orpo"),
    Run("orpo_sequence", accumulation=4),
    Run("dorpo_reference"),
    Run("sft", "linear"),
    # A decay large enough that forgetting it, or decaying norms, shows.
    Run("ddpo", weight_decay=0.5),
    # A bound that clips some steps and leaves others.
    Run("ddpo", clip=4.0),
]
RUNS += [
    Run("orpo", accumulation=4),
    Run("ddpo", train="lora", reference="adapter"),
    Run("ddpo", accumulation=4, train="lora", reference="adapter"),
    Run("ddpo", "cosine", 0.01, accumulation=4, train="lora", reference="base"),
    Run("dpo", train="lora", reference="adapter"),
    # ORPO has no reference; "adapter" says what is trained from.
    Run("orpo", train="lora", reference="adapter"),
    Run("orpo", accumulation=4, train="lora", reference="adapter"),
    Run("dorpo", train="lora", reference="adapter"),
    Run("dorpo", accumulation=4, train="lora", reference="adapter"),
]
# The variants; those of DPO and SimPO also weighted, as is KTO and supervised fine-tuning.
RUNS += [Run(prefix + name) for prefix in ("", "d") for name in (*VARIANTS, "kto")] + [Run("dsft", "linear")]
STORED = {
    run.name
    for run in RUNS
    if run in (
        Run("ddpo"),
        Run("ddpo", "cosine", 0.01, accumulation=4),
        Run("dorpo", "cosine", 0.01),
        Run("dorpo_reference"),
        Run("dpo", "cosine", 0.01),
        Run("ddpo", weight_decay=0.5),
        Run("ddpo", clip=4.0),
        Run("ddpo", train="lora", reference="adapter"),
        Run("ddpo", "cosine", 0.01, accumulation=4, train="lora", reference="base"),
        Run("dpo", train="lora", reference="adapter"),
        Run("dorpo", train="lora", reference="adapter"),
    )
}
# Of these the metrics that TRL logs are stored, too.
METRICS = [Run(objective) for objective in ("dpo", "ddpo", "orpo", "dorpo")] + [Run("dpo", "cosine", 0.01), Run("dpo", train="lora", reference="adapter")]
METRICS += [Run(name) for name in ("hinge", "ipo", "sigmoid_norm", "simpo")]
# What TRL's trainers repeat: its own objectives as they are, the weighted ones and ORPO over the completion by `Weighted`.
# TRL's loss of a KTO batch cannot be weighted from outside, and it has no second coefficient.
BY_TRL = [run for run in RUNS if run.objective in ("dpo", "ddpo", "orpo", "orpo_sequence", "dorpo", "kto") and run.reference != "base"]
BY_TRL += [run for run in RUNS if run.objective.removeprefix("d") in VARIANTS and not run.objective.endswith("spl")]


def by_trl(run: Run, policy, reference, tokenizer, texts: list) -> tuple[list[dict], dict[str, torch.Tensor]]:
    """(log, final trained parameters) of the same run by TRL's trainer."""
    settings = dict(
        learning_rate=LEARNING_RATE,
        lr_scheduler_type=run.schedule,
        warmup_steps=0 if run.schedule == "constant" else WARMUP,
        weight_decay=run.weight_decay,
        max_grad_norm=run.clip,
        optim="adamw_torch",
        per_device_train_batch_size=PAIRS_PER_STEP // run.accumulation,
        gradient_accumulation_steps=run.accumulation,
        num_train_epochs=1,
    )
    texts = [texts[i] for i in order(len(texts))]
    if run.objective == "orpo":
        texts = [(*pair, 1.0) for *pair, _ in texts]
    variant, weighted = run.objective.removeprefix("d"), run.objective.startswith("d") and run.objective != "dpo"
    if run.objective == "kto":
        settings["per_device_train_batch_size"] = 2 * PAIRS_PER_STEP
        rows = [kto_texts(order(len(TEXTS))[i : i + PAIRS_PER_STEP]) for i in range(0, len(texts), PAIRS_PER_STEP)]
        weights = {"desirable_weight": DESIRABLE_WEIGHT, "undesirable_weight": UNDESIRABLE_WEIGHT}
        trainer = kto_trainer(policy, reference, tokenizer, concatenate_datasets(rows), **settings, **weights)
    elif variant == "simpo":
        settings |= {"trainer": DSimPOTrainer} if weighted else {}
        trainer = cpo_trainer(policy, tokenizer, texts, beta=MEAN_BETA, simpo_gamma=SIMPO_GAMMA, **settings)
    elif variant in VARIANTS:
        settings |= {"trainer": DDPOTrainer} if weighted else {}
        trainer = dpo_trainer(policy, reference, tokenizer, texts, loss_type=[variant], beta=VARIANTS[variant], **settings)
    elif run.objective in ("dpo", "ddpo"):
        if run.objective == "ddpo":
            settings["trainer"] = DDPOTrainer
        # With an adapter and no reference model, TRL copies the adapter as the reference.
        trainer = dpo_trainer(policy, None if run.train == "lora" else reference, tokenizer, texts, **settings)
    else:
        if run.objective != "orpo_sequence":
            settings["trainer"] = DORPOTrainer
        trainer = orpo_trainer(policy, tokenizer, texts, **settings)
    trainer.train()
    return [row for row in trainer.state.log_history if "loss" in row], trained_parameters(trainer.model)


def compare_with_trl(run: Run, ours: tuple[dict, dict], trl: tuple[list[dict], dict]) -> dict[str, float]:
    """Asserts that TRL's trainer walked the same ten steps; returns the differences."""
    (curves, final), (log, trl_final) = ours, trl
    assert len(log) == STEPS and final.keys() == trl_final.keys()
    differences = {
        key: worst(torch.tensor([row[key] for row in log]), torch.tensor(curves[key])) for key in ("loss", "grad_norm", "learning_rate")
    }
    differences["parameters"] = max(worst(final[name], trl_final[name]) for name in final)
    assert differences["loss"] < 5e-5 and differences["grad_norm"] < 5e-4 and differences["parameters"] < 2e-5, (run, differences)
    assert differences["learning_rate"] < 1e-9, (run, differences)
    return differences


def check_against_trl(results: dict[str, tuple[dict, dict]], tokenizer) -> dict:
    """TRL's differences, losses and logged metrics for every run that it can repeat."""
    out = {}
    for run in BY_TRL:
        log, final = by_trl(run, *start(run), tokenizer, TEXTS)
        differences = compare_with_trl(run, results[run.name], (log, final))
        metrics = [key for key in log[0] if key.startswith(("rewards/", "logps/", "nll", "log_odds"))] if run in METRICS else []
        out[run.name] = {
            "differences": differences,
            "loss": [row["loss"] for row in log],
            "metrics": {key: [row[key] for row in log] for key in metrics},
        }
    return out


def schedules() -> list[dict]:
    """Learning rates of transformers' schedules at every step, at a peak of 1."""
    out = []
    for name, warmup in product(("constant_with_warmup", "linear", "cosine"), (0, 3)):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        schedule = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=STEPS)
        rates = []
        for _ in range(STEPS):
            rates.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        out.append({"schedule": name, "warmup": warmup, "steps": STEPS, "learning_rate": rates})
    return out


def main() -> None:
    path = folder("train")
    save_adapter(POLICY, ADAPTER, seed=21, targets=["q_proj", "v_proj"], rank=4)
    tokenizer = load_tokenizer(POLICY)
    pairs = tokenised(tokenizer, TEXTS)
    results = {run.name: (train_kto if run.objective.endswith("kto") else train)(run, *start(run), pairs) for run in RUNS}
    assert len(results) == len(RUNS)
    curves = {name: curve for name, (curve, _) in results.items()}
    finals = {name: final for name, (_, final) in results.items()}
    for name in STORED:
        save_tensors(path / f"{name}.safetensors", finals[name])
    runs = [asdict(run) | {"name": run.name, "final_parameters": run.name in STORED} | curves[run.name] for run in RUNS]

    accumulation_spread = max(
        worst(finals[run.name][key], value)
        for run in RUNS
        if run.accumulation == 4 and (once := replace(run, accumulation=1).name) in finals
        for key, value in finals[once].items()
    )
    trl = check_against_trl(results, tokenizer)
    save_json(
        path / "runs.json",
        {
            "versions": versions("torch", "transformers", "trl", "peft", "accelerate"),
            "settings": {
                "beta": BETA,
                "lambda": LAMBDA,
                "mean_beta": MEAN_BETA,
                "spl_alpha": SPL_ALPHA,
                "simpo_gamma": SIMPO_GAMMA,
                "desirable_weight": DESIRABLE_WEIGHT,
                "undesirable_weight": UNDESIRABLE_WEIGHT,
                "steps": STEPS,
                "pairs_per_step": PAIRS_PER_STEP,
                "order": order(len(pairs)),
                "learning_rate": LEARNING_RATE,
                "warmup": WARMUP,
                "betas": [0.9, 0.999],
                "eps": 1e-8,
            },
            "about_accumulation": "largest difference of a final parameter between batch 4 and batch 1 x accumulation 4: what the order of sums alone does",
            "accumulation_difference": accumulation_spread,
            "runs": runs,
            "about_trl": "asserted equal to TRL's trainers over the ten steps, weighted pair by pair; differences, and what TRL logged",
            "trl": trl,
            "schedules": schedules(),
        },
    )


if __name__ == "__main__":
    main()
