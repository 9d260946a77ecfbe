#!/usr/bin/env bash
# A config.json by transformers 5 loses its rope base in transformers 4.
#
# Good guess:  the safetensors and the architecture did not change, so an older reader either loads the
#              model rightly or refuses it.
# What happens: transformers 5 writes rope_theta and rope scaling into rope_parameters and no longer at
#              the top level. transformers 4 does not know that key: it takes rope_theta 10000 and no
#              scaling, without a word. All shapes fit; the attention is computed with other angles.
# Seen with:   written by transformers 5.24.0, read by 4.57.3.
# Hurts:       whoever fine-tunes with transformers 5 and serves with a stack that is pinned to 4, or
#              with any reader that only looks for the top-level keys.
# Do:          write rope_theta and rope_scaling back to config.json for such readers, and compare
#              logits on a long prompt after every change of library.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv five
five/bin/pip install -q uv==0.13.9
five/bin/python -m uv pip install -q transformers==5.24.0
python3 -m venv four
four/bin/pip install -q uv==0.13.9
four/bin/python -m uv pip install -q transformers==4.57.3
five/bin/python - <<'EOF'
import transformers
from transformers import LlamaConfig

print("transformers", transformers.__version__, "writes:")
rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
LlamaConfig(max_position_embeddings=131072, rope_parameters=rope).save_pretrained("model")
EOF
grep -A8 rope_parameters model/config.json
four/bin/python - 2>log <<'EOF' || { cat log; exit 1; }
import json, transformers
from transformers import AutoConfig

file = json.load(open("model/config.json"))
config = AutoConfig.from_pretrained("model")
print(f"transformers {transformers.__version__} reads rope_theta {config.rope_theta}, "
      f"rope_scaling {config.rope_scaling}")
assert "rope_theta" not in file and file["rope_parameters"]["rope_theta"] == 500000.0
assert config.rope_theta == 10000.0 and config.rope_scaling is None
EOF
if grep -i rope log; then echo "it warns now"; exit 1; fi
