"""fixtures/reward: ten AdamW steps of L1 regression, full and LoRA; plateaus of torch; rank correlations of SciPy."""

import json
from pathlib import Path

import numpy
import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model, get_peft_model_state_dict
from scipy.stats import spearmanr
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from fixture import FIXTURES, f32_list, folder, save_json, save_tensors, versions
from pairs import TEXTS
from reward import as_tags

BASE = FIXTURES / "reward"
STEPS, TEXTS_PER_STEP, LEARNING_RATE, WEIGHT_DECAY = 10, 4, 1e-3, 0.01


def classifier():
    """The tiny reward model."""
    return AutoModelForSequenceClassification.from_pretrained(BASE, attn_implementation="eager").eval()


def save_adapter(path: Path) -> None:
    """An adapter with its head, as peft saves one for a classifier; B is not zero."""
    torch.manual_seed(31)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], lora_dropout=0.0, task_type=TaskType.SEQ_CLS)
    adapted = get_peft_model(classifier(), config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.2)
    adapted.peft_config["default"].base_model_name_or_path = BASE.name
    adapted.save_pretrained(path)
    (path / "README.md").unlink(missing_ok=True)
    config_path = path / "adapter_config.json"
    settings = json.loads(config_path.read_text())
    for key in ("target_modules", "modules_to_save"):
        settings[key].sort()
    config_path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    (path / "adapter_model.safetensors").chmod(0o644)


def train(model, tokenizer, rows: list[list[int]], scores: list[float], accumulation: int) -> dict:
    """The curves of ten steps."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in trained if p.dim() == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=LEARNING_RATE, foreach=False)
    curves = {"loss": [], "grad_norm": []}
    size = TEXTS_PER_STEP // accumulation
    for step in range(STEPS):
        places = [i % len(rows) for i in range(step * TEXTS_PER_STEP, (step + 1) * TEXTS_PER_STEP)]
        optimizer.zero_grad()
        losses = []
        for micro in range(0, TEXTS_PER_STEP, size):
            chosen = places[micro : micro + size]
            batch = tokenizer.pad({"input_ids": [rows[i] for i in chosen]}, padding_side="right", return_tensors="pt")
            loss = torch.nn.L1Loss()(model(**batch).logits[:, 0], torch.tensor([scores[i] for i in chosen]))
            (loss / accumulation).backward()
            losses.append(loss.detach())
        curves["loss"].append(f32_list(torch.stack(losses).mean()))
        curves["grad_norm"].append(f32_list(torch.nn.utils.clip_grad_norm_(trained, 1.0, foreach=False)))
        optimizer.step()
    return curves


def runs(path: Path) -> None:
    """Ten steps, full and LoRA, and the parameters that they end with."""
    save_adapter(path / "adapter")
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    rows = [tokenizer(as_tags(prompt, response))["input_ids"] for prompt, chosen, rejected, _ in TEXTS[:6] if isinstance(prompt, str) for response in (chosen, rejected)]
    scores = [float(score) for score in numpy.random.default_rng(5).uniform(-1, 1, len(rows)).astype("float32").round(3)]
    out = []
    for name in ("full", "lora"):
        for accumulation in (1, 4):
            model = classifier() if name == "full" else PeftModel.from_pretrained(classifier(), path / "adapter", is_trainable=True).eval()
            curves = train(model, tokenizer, rows, scores, accumulation)
            out.append({"train": name, "accumulation": accumulation} | curves)
            if accumulation == 1:
                final = dict(model.named_parameters()) if name == "full" else get_peft_model_state_dict(model)
                save_tensors(path / f"trained-{name}.safetensors", {key: value.detach() for key, value in final.items()})
    settings = {"steps": STEPS, "texts_per_step": TEXTS_PER_STEP, "learning_rate": LEARNING_RATE, "weight_decay": WEIGHT_DECAY}
    save_json(path / "training.json", {"versions": versions("torch", "transformers", "peft"), "settings": settings, "ids": rows, "scores": scores, "runs": out})


def plateaus(path: Path) -> None:
    """Learning rates after each of some losses."""
    losses = [1.0, 0.9, 0.95, 0.9, 0.91, 0.92, 0.93, 0.5, 0.5, 0.49999, 0.5, 0.5, 0.4, 0.6, 0.6, 0.6, 0.6, 0.6, 0.3, 0.31, 0.32, 0.33]
    cases = []
    for settings in (
        {},
        {"factor": 0.5, "patience": 1},
        {"factor": 0.1, "patience": 0, "cooldown": 2},
        {"factor": 0.5, "patience": 2, "threshold": 0.2, "min_lr": 1e-4},
        {"factor": 0.0, "patience": 3},
        {"factor": 0.5, "patience": 0, "min_lr": 9.9995e-4},
    ):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-3)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **settings)
        rates = []
        for loss in losses:
            schedule.step(loss)
            rates.append(schedule.get_last_lr()[0])
        cases.append({"settings": settings, "learning_rate": rates})
    save_json(path / "plateau.json", {"versions": versions("torch"), "start": 1e-3, "losses": losses, "cases": cases})


def correlations(path: Path) -> None:
    """Rank correlations with and without ties; null where SciPy gives no number."""
    rng = numpy.random.default_rng(7)
    pairs = [
        ([1, 2, 3, 4], [10, 20, 30, 40]),
        ([1, 2, 3, 4], [4, 3, 2, 1]),
        ([1, 2, 2, 3, 3, 3], [5, 1, 1, 2, 9, 9]),
        ([0.5, 0.5, 0.5], [1, 2, 3]),
        ([0.1, 0.2], [3, 3]),
        ([-1e-9, 0.0, 1e-9, 1e9], [0, 1, 0, 1]),
        (rng.normal(size=50).round(1).tolist(), rng.integers(0, 6, 50).tolist()),
        (rng.normal(size=40).tolist(), rng.exponential(size=40).tolist()),
    ]
    cases = []
    for rewards, scores in pairs:
        found = float(spearmanr(rewards, scores).statistic)
        cases.append({"rewards": rewards, "scores": scores, "spearman": None if numpy.isnan(found) else found})
    save_json(path / "spearman.json", {"versions": versions("scipy"), "cases": cases})


if __name__ == "__main__":
    path = folder("reward")
    runs(path)
    plateaus(path)
    correlations(path)
