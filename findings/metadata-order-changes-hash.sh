#!/usr/bin/env bash
# The same tensors and metadata, saved twice, are two different files.
#
# Good guess:  safetensors has a fixed layout, so equal content gives equal bytes and a file's hash
#              names the weights.
# What happens: the entries of __metadata__ are written in the order of a randomly seeded hash map. With
#              several entries the header's bytes change from process to process; the tensors do not.
# Seen with:   safetensors 0.8.0, numpy 2.4.6, four entries: several hashes in eight runs.
# Hurts:       caches, reproducibility checks and registries that are keyed by a file's hash; build
#              pipelines that compare artefacts.
# Do:          hash the bytes behind the header together with the sorted header, or keep one entry
#              (a single one, as transformers' {"format": "pt"}, is stable).
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q safetensors==0.8.0 numpy==2.4.6
cat >save.py <<'EOF'
import hashlib, sys
import numpy as np
from safetensors.numpy import save

metadata = dict(item.split("=") for item in sys.argv[1:])
file = save({"a": np.zeros(3), "b": np.ones(2)}, metadata=metadata)
header = int.from_bytes(file[:8], "little")
print(hashlib.sha256(file).hexdigest()[:12], hashlib.sha256(file[8 + header:]).hexdigest()[:12])
EOF
venv/bin/pip list --format=freeze | grep -e safetensors -e numpy
# count COLUMN KEY=VALUE..: how many different values a column of save.py's output has in eight runs
count() {
  local column=$1; shift
  for _ in {1..8}; do venv/bin/python save.py "$@"; done | cut -d' ' -f"$column" | sort -u | wc -l
}
many=$(count 1 format=pt step=3 seed=7 base=tiny)
data=$(count 2 format=pt step=3 seed=7 base=tiny)
one=$(count 1 format=pt)
echo "eight runs, four entries: $many different files, $data different tensor parts; one entry: $one file"
[ "$many" -gt 1 ] && [ "$data" -eq 1 ] && [ "$one" -eq 1 ]
