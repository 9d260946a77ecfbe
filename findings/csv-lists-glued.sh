#!/usr/bin/env bash
# A list column in a CSV by datasets or pandas comes back as one glued string.
#
# Good guess:  Dataset.to_csv writes a list of strings as a list, in Python's or JSON's syntax, and
#              ast.literal_eval or json.loads restores it.
# What happens: the cell is the repr of a NumPy array, which has no commas: ['a cat' 'a dog'].
#              literal_eval takes the adjacent strings for one literal and returns ['a cata dog'], without
#              an error. Beyond 1000 numbers the cell holds "..." and the values are gone. Lists of
#              dicts (messages) lose their commas, too, and do not parse at all.
# Seen with:   datasets 5.2.0, pandas 3.1.1, numpy 2.4.6; the same for read_parquet(..).to_csv(..).
# Hurts:       whoever passes responses, messages or embeddings on as CSV: groups of n responses become
#              one response each.
# Do:          write JSONL or Parquet, or json.dumps the column first.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q datasets==5.2.0 pandas==3.1.1 numpy==2.4.6 pyarrow==26.0.1
venv/bin/python - <<'EOF'
import ast, datasets, pandas as pd

print("datasets", datasets.__version__, "pandas", pd.__version__)
data = datasets.Dataset.from_dict({
    "responses": [["a cat", "a dog"]],
    "messages": [[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]],
    "vector": [[0.5] * 1001]})
data.to_csv("datasets.csv")
data.to_parquet("data.parquet")
pd.read_parquet("data.parquet").to_csv("pandas.csv", index=False)
for writer in "datasets", "pandas":
    cells = pd.read_csv(f"{writer}.csv").iloc[0]
    print(f"{writer} writes {cells['responses']}, messages {cells['messages']}")
    restored = ast.literal_eval(cells["responses"])
    print(f"  literal_eval gives {restored}; 1001 numbers are {cells['vector']}")
    assert restored == ["a cata dog"]
    assert "..." in cells["vector"] and "} {" in cells["messages"].replace("\n", "")
EOF
