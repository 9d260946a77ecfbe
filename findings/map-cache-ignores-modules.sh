#!/usr/bin/env bash
# Dataset.map returns yesterday's result after a helper module was edited.
#
# Good guess:  map() hashes the function it is given and recomputes when the code changes.
# What happens: code is hashed for functions of the main script; a function that is imported from
#              another module is hashed by its name. Edit that module, run again, and map() serves the
#              old result from the cache. Wrapping the call in a lambda or a local function does not help.
# Seen with:   datasets 5.2.0.
# Hurts:       projects with their preprocessing in a package: fixes to cleaning, templates or filters have
#              no effect until the cache is deleted, and the numbers of two versions are equal.
# Do:          load_from_cache_file=False (or datasets.disable_caching()), or give new_fingerprint a
#              version of your own.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q datasets==5.2.0
export PYTHONDONTWRITEBYTECODE=1
echo '{"text": " Hello "}' >data.jsonl
cat >run.py <<'EOF'
import sys, datasets
from cleaning import clean

def wrapped(row):
    return clean(row)

def inside(row):
    return {"text": row["text"].strip() + SUFFIX}

SUFFIX = sys.argv[1]
data = datasets.load_dataset("json", data_files="data.jsonl", split="train")
results = [data.map(f)["text"][0] for f in (clean, wrapped, inside)]
fresh = data.map(clean, load_from_cache_file=False)["text"][0]
print(datasets.__version__, *results, fresh)
EOF
echo 'def clean(row): return {"text": row["text"].strip()}' >cleaning.py
first=$(venv/bin/python run.py .)
echo 'def clean(row): return {"text": row["text"].strip().upper()}' >cleaning.py
second=$(venv/bin/python run.py !)
echo "datasets; imported, wrapped, in the script, without the cache"
echo "before the edit: $first"
echo "after the edit:  $second"
[ "$first" = "5.2.0 Hello Hello Hello. Hello" ]
[ "$second" = "5.2.0 Hello Hello Hello! HELLO" ]
