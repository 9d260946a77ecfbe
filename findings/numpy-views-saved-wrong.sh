#!/usr/bin/env bash
# safetensors.numpy saves a transposed or strided array as different numbers.
#
# Good guess:  save_file stores what the array shows, or refuses it as safetensors.torch does.
# What happens: a transposed array keeps its shape, but its elements are written in memory order; a
#              slice with a step writes the first elements of the memory behind it. The file is valid,
#              loads without complaint, and holds another matrix.
# Seen with:   safetensors 0.8.0, numpy 2.4.6.
# Hurts:       whoever converts weights in numpy (Conv1D to Linear is a transpose) or exports
#              LoRA factors, head permutations, even rows of a table.
# Do:          np.ascontiguousarray(x) before save_file.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q safetensors==0.8.0 numpy==2.4.6
venv/bin/python - <<'EOF'
import numpy as np, safetensors
from safetensors.numpy import load_file, save_file

print("safetensors", safetensors.__version__, "numpy", np.__version__)
weight = np.arange(6, dtype=np.float32).reshape(2, 3)
for name, array in ("transposed", weight.T), ("every second", np.arange(6, dtype=np.float32)[::2]):
    save_file({"x": array, "y": np.ascontiguousarray(array)}, "x.safetensors")
    file = load_file("x.safetensors")
    print(f"{name:13} array {array.tolist()}\n{'':13} file  {file['x'].tolist()}")
    assert file["x"].shape == array.shape and not np.array_equal(file["x"], array)
    assert np.array_equal(file["y"], array)
EOF
