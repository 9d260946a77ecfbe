"""Loads what rarebit exported with peft and transformers and compares the logits with rarebit's own.

Not a fixture and not part of the tests: a check to run by hand where the libraries are.

    RAREBIT_EXPORTS=$PWD/target/exports cargo test --release -p rarebit --test rarebit -- export
    python tests/parity/export.py target/exports
"""

import json
import sys
from pathlib import Path

import fixture  # noqa: F401  (sets the environment)
import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

TOLERANCE = 1e-4


def load(folder: Path, base: str):
    """The model in a folder, or the adapter in it on its base, computed in f32."""
    settings = folder / "adapter_config.json"
    config = json.loads((Path(base or folder) / "config.json").read_text())
    task = json.loads(settings.read_text())["task_type"] if settings.exists() else None
    classifier = task == "SEQ_CLS" or config["architectures"][0].endswith("ForSequenceClassification")
    kind, options = (AutoModelForSequenceClassification, {"num_labels": 1}) if classifier else (AutoModelForCausalLM, {})
    model, report = kind.from_pretrained(base or folder, dtype=torch.float32, output_loading_info=True, **options)
    if not settings.exists():
        assert not any(report.values()), report
        return model.eval()
    return PeftModel.from_pretrained(model, folder).eval()


def check(logits: Path) -> float:
    """The largest difference of a folder's logits, relative above 1."""
    with safe_open(logits, "pt") as file:
        expected, metadata = file.get_tensor("logits"), file.metadata()
    model = load(logits.with_suffix(""), metadata["base"])
    with torch.no_grad():
        found = model(input_ids=torch.tensor([json.loads(metadata["ids"])])).logits.flatten()
    return ((found - expected).abs() / expected.abs().clamp(min=1)).max().item()


def main() -> int:
    files = sorted(Path(sys.argv[1]).rglob("*.logits"))
    assert files, "nothing was exported there"
    worst = 0.0
    for file in files:
        difference = check(file)
        worst = max(worst, difference)
        print(f"{file.relative_to(sys.argv[1]).with_suffix('')}: {difference:.1e}")
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
