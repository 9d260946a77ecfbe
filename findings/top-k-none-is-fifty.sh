#!/usr/bin/env bash
# A GenerationConfig whose top_k is None samples from 50 tokens, or from the folder's.
#
# Good guess:  GenerationConfig(do_sample=True).top_k is None, so nothing is cut; and a GenerationConfig of
#              one's own replaces the one in the model's folder.
# What happens: None means "not said" there. generate() fills it from the folder's generation_config.json (and
#              temperature and top_p likewise), else with the library's old default, 50. The same
#              None as an argument, generate(top_k=None), does switch the cut off; so does 0 in both.
# Seen with:   transformers 5.24.0, torch 2.15.0.
# Hurts:       measurements of diversity, entropy or calibration, and on-policy data for training: the tail of
#              the distribution is missing, and printing the config does not show it.
# Do:          say top_k=0, top_p=1.0 and temperature=1.0 whenever pure sampling is meant.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q torch==2.15.0 transformers==5.24.0
venv/bin/python -W ignore - <<'EOF'
import torch, transformers
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, LlamaForCausalLM

print("transformers", transformers.__version__, "torch", torch.__version__)
torch.manual_seed(0)
plain = LlamaForCausalLM(LlamaConfig(vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
                                     num_attention_heads=4, eos_token_id=None, pad_token_id=0))
plain.generation_config = GenerationConfig(do_sample=True, top_k=5, pad_token_id=0)
plain.save_pretrained("folder")
folder = AutoModelForCausalLM.from_pretrained("folder")
plain.generation_config = GenerationConfig(pad_token_id=0)

def kinds(model, **settings):
    torch.manual_seed(1)
    out = model.generate(torch.tensor([[5, 6, 7]]), max_new_tokens=1, num_return_sequences=3000, **settings)
    return len(set(out[:, -1].tolist()))

def config(**settings):
    return {"generation_config": GenerationConfig(do_sample=True, pad_token_id=0, **settings)}

counts = {
    "no settings, do_sample=True": kinds(plain, do_sample=True),
    "no settings, GenerationConfig(top_k=None)": kinds(plain, **config(top_k=None)),
    "no settings, argument top_k=None": kinds(plain, do_sample=True, top_k=None),
    "folder's top_k 5, GenerationConfig()": kinds(folder, **config()),
    "folder's top_k 5, GenerationConfig(top_k=None)": kinds(folder, **config(top_k=None)),
    "folder's top_k 5, GenerationConfig(top_k=0)": kinds(folder, **config(top_k=0)),
    "folder's top_k 5, argument top_k=None": kinds(folder, do_sample=True, top_k=None),
}
print("GenerationConfig(do_sample=True).top_k is", config()["generation_config"].top_k)
for name, count in counts.items():
    print(f"{name:48}{count:4} different tokens in 3000 draws")
assert config()["generation_config"].top_k is None
found = list(counts.values())
assert found[:2] == [50, 50] and found[3:5] == [5, 5]
assert min(found[2], found[5], found[6]) > 250
EOF
