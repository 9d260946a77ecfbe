#!/usr/bin/env bash
# A merged model saved beside its adapter gets the adapter a second time.
#
# Good guess:  after `merge_and_unload().save_pretrained(folder)` the folder's model.safetensors is
#              the finished model, and AutoModelForCausalLM.from_pretrained(folder) returns it.
# What happens: if adapter_config.json still lies in the folder (training wrote it there),
#              from_pretrained reads the merged weights and applies the adapter to them again. The
#              result is base + 2 x delta. Nothing warns; generation looks plausible.
# Seen with:   transformers 5.24.0, peft 0.21.2, torch 2.15.0.
# Hurts:       whoever merges into the training run's output folder and then evaluates it.
# Do:          save the merged model to a folder of its own, or delete adapter_config.json.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q torch==2.15.0 transformers==5.24.0 peft==0.21.2
venv/bin/python -W ignore - <<'EOF'
import shutil, torch, transformers, peft
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

print("transformers", transformers.__version__, "peft", peft.__version__, "torch", torch.__version__)
torch.manual_seed(0)
config = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                     num_attention_heads=4, num_key_value_heads=2)
LlamaForCausalLM(config).save_pretrained("base")
tokens = torch.arange(20)[None]

def logits(model):
    with torch.no_grad():
        return model.eval()(tokens).logits

# init_lora_weights=False draws a non-zero B, as training would leave one.
lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"],
                  init_lora_weights=False, task_type="CAUSAL_LM")
tuned = get_peft_model(AutoModelForCausalLM.from_pretrained("base"), lora)
wanted = logits(tuned)
tuned.save_pretrained("run")                        # the adapter, as a trainer saves it
tuned.merge_and_unload().save_pretrained("run")     # the merged model, into the same folder

shutil.copytree("run", "alone", ignore=shutil.ignore_patterns("adapter_*"))
alone = AutoModelForCausalLM.from_pretrained("alone")
twice = logits(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("alone"), "run"))
beside = logits(AutoModelForCausalLM.from_pretrained("run"))

def gap(a, b):
    return (a - b).abs().max().item()

print(f"merged weights without adapter files: {gap(logits(alone), wanted):.1e} from the tuned model")
print(f"the same folder with adapter files:   {gap(beside, wanted):.1e} from the tuned model")
print(f"                                      {gap(beside, twice):.1e} from the adapter applied twice")
assert gap(logits(alone), wanted) < 1e-5
assert gap(beside, wanted) > 1e-2
assert gap(beside, twice) < 1e-6
EOF
