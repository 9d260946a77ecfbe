#!/usr/bin/env bash
# Half an adapter plus half of the same adapter is twice the adapter.
#
# Good guess:  add_weighted_adapter(["a", "b"], [0.5, 0.5], combination_type="linear") is the average
#              of the two weight updates.
# What happens: "linear" adds the A matrices and the B matrices separately, each scaled by the square
#              root of its weight. The product has the cross terms sqrt(w1 w2) B1 A2, which belong to
#              neither adapter. Averaging an adapter with itself doubles it; for unrelated adapters the
#              error is as large as the wanted update. "dare_linear" and "magnitude_prune" share this.
#              "cat" is exact (its rank is the sum of the ranks).
# Seen with:   peft 0.21.2, torch 2.15.0.
# Hurts:       whoever blends adapters (quality with diversity, seeds, checkpoints) and judges the blend.
# Do:          use combination_type="cat", or "svd" where the rank must stay small.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q torch==2.15.0 transformers==5.24.0 peft==0.21.2
venv/bin/python -W ignore - <<'EOF'
import torch, peft
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

print("peft", peft.__version__, "torch", torch.__version__)
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64,
                                     num_hidden_layers=1, num_attention_heads=4))
lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj"], init_lora_weights=False)
model = get_peft_model(model, lora, adapter_name="first")
model.add_adapter("second", lora)
layer = next(m for m in model.modules() if hasattr(m, "get_delta_weight"))

def update(adapters, weights, kind):
    name = "-".join(adapters) + kind
    model.add_weighted_adapter(adapters, weights, name, combination_type=kind)
    return layer.get_delta_weight(name).detach()

first, second = (layer.get_delta_weight(n).detach() for n in ("first", "second"))

def error(found, wanted):
    return ((found - wanted).norm() / wanted.norm()).item()

halves = [0.5, 0.5]
doubled = update(["first", "first"], halves, "linear")
print(f"linear, 0.5 first + 0.5 first: {(doubled.norm() / first.norm()).item():.4f} x first")
mean = (first + second) / 2
errors = {kind: error(update(["first", "second"], halves, kind), mean) for kind in ("linear", "svd", "cat")}
for kind, found in errors.items():
    print(f"{kind + ', 0.5 first + 0.5 second:':31}relative error {found:.4f}")
assert torch.allclose(doubled, 2 * first, atol=1e-5)
assert errors["linear"] > 0.5 and errors["cat"] < 1e-5
EOF
