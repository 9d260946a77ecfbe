#!/usr/bin/env bash
# An int8 embedding depends on the texts that were encoded with it.
#
# Good guess:  encode(text, precision="int8") quantises a vector; the same text gives the same bytes.
# What happens: without ranges of one's own, each dimension is scaled by its minimum and maximum in this very
#              call. Another batch gives another code: the same vector, encoded with two different
#              sets, has a cosine similarity far from 1 to itself. uint8 is shifted besides,
#              so that unrelated texts are similar. A warning appears only below 100 texts.
# Seen with:   sentence-transformers 6.2.0 (quantize_embeddings, which encode calls), numpy 2.4.6.
# Hurts:       an index that is filled in several calls, and queries that are encoded apart from documents.
# Do:          compute ranges once on a calibration set, keep them, and pass ranges= to quantize_embeddings.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q torch==2.15.0 sentence-transformers==6.2.0 numpy==2.4.6
venv/bin/python - 2>log <<'EOF' || { cat log; exit 1; }
import numpy as np, sentence_transformers
from sentence_transformers import quantize_embeddings

print("sentence-transformers", sentence_transformers.__version__, "numpy", np.__version__)
draw = np.random.default_rng(0)

def unit(rows):
    rows = rows.astype(float)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)

text, other = unit(draw.normal(size=(2, 384)))
topics = [unit(draw.normal(size=384) * 1.5 + draw.normal(size=(200, 384))) for _ in range(2)]

def codes(precision, topic, **more):
    return quantize_embeddings(np.vstack([text, other, topic]), precision=precision, **more)[:2]

def cosine(a, b):
    return float(unit(a) @ unit(b))

first, second = (codes("int8", topic) for topic in topics)
ranges = np.array([[-0.25] * 384, [0.25] * 384], dtype=np.float32)
fixed = [codes("int8", topic, ranges=ranges) for topic in topics]
shifted = codes("uint8", topics[0], ranges=ranges)
print(f"a text with itself, int8, two calls:  {cosine(first[0], second[0]):.3f}, ranges given: "
      f"{cosine(fixed[0][0], fixed[1][0]):.3f}")
print(f"two unrelated texts: float {cosine(text, other):.3f}, int8 {cosine(*fixed[0]):.3f}, "
      f"uint8 {cosine(*shifted):.3f}")
assert cosine(first[0], second[0]) < 0.8
assert cosine(fixed[0][0], fixed[1][0]) > 0.999
assert abs(cosine(text, other)) < 0.2 < 0.6 < cosine(*shifted)
EOF
if grep -i range log; then echo "it warns now"; exit 1; fi
