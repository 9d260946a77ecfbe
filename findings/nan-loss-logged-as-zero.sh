#!/usr/bin/env bash
# A training run that has turned into NaN logs a falling loss.
#
# Good guess:  once the loss is NaN, the log says nan.
# What happens: the Trainer's logging_nan_inf_filter is on by default: a NaN loss is replaced by the average
#              since the last log entry, which is 0 at the first step of each. A run that breaks shows the loss
#              falling to 0 and ends with a finite train_loss; every weight is NaN by then. grad_norm
#              is the one entry that says nan. TRL's trainers inherit the setting.
# Seen with:   transformers 5.24.0, torch 2.15.0.
# Hurts:       dashboards, early stopping and sweeps that rank runs by the training loss: the broken run wins.
# Do:          logging_nan_inf_filter=False, or alert on grad_norm.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q torch==2.15.0 transformers==5.24.0 accelerate==1.15.0
venv/bin/python -W ignore - <<'EOF'
import math, torch, transformers
from transformers import Trainer, TrainingArguments

class Breaks(torch.nn.Module):
    """A loss of about 1 that becomes NaN from the 15th step on."""
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.steps = 0
    def forward(self, x, labels=None):
        self.steps += 1
        return {"loss": (self.weight * x).mean() * (math.nan if self.steps >= 15 else 1.0)}

def run(**more):
    arguments = TrainingArguments("out", max_steps=40, logging_steps=10, learning_rate=1e-6, report_to=[],
                                  save_strategy="no", use_cpu=True, disable_tqdm=True,
                                  per_device_train_batch_size=1, **more)
    model = Breaks()
    data = [{"x": torch.ones(1), "labels": 0}] * 40
    trainer = Trainer(model=model, args=arguments, train_dataset=data)
    trainer.remove_callback(transformers.PrinterCallback)
    end = trainer.train().training_loss
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    return [round(e["loss"], 3) for e in log], [e["grad_norm"] for e in log], end, model.weight.item()

print("transformers", transformers.__version__, "torch", torch.__version__)
losses, norms, end, weight = run()
print(f"default:    loss {losses}, train_loss {end:.3f}, grad_norm {norms}, weight {weight}")
honest, *_ = run(logging_nan_inf_filter=False)
print(f"filter off: loss {honest}")
assert losses[0] == 1.0 and losses[-1] == 0.0 and losses == sorted(losses, reverse=True)
assert math.isfinite(end) and math.isnan(norms[-1]) and math.isnan(weight)
assert math.isnan(honest[-1])
EOF
