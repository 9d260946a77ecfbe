#!/usr/bin/env bash
# JSON strings do not stay strings: "1.10" becomes 1.1, "9:05" a time, "1945-05-08" a timestamp.
#
# Good guess:  JSON has types, so a value in quotation marks is read as a string, unlike in CSV.
# What happens: pandas.read_json turns a column of strings that look like numbers into numbers ("007" and
#              "7" are then one id). pyarrow, and datasets on top of it, turn strings that look like dates
#              into timestamps; DuckDB makes dates and times of them. The text that a tokenizer gets
#              afterwards is "1945-05-08 00:00:00" or "09:05:00". It depends on the whole column, so
#              a small sample can come out differently from the full file.
# Seen with:   pandas 3.1.1, pyarrow 26.0.1, datasets 5.2.0, duckdb 2.0.1. Polars 2.1.0 keeps strings.
# Hurts:       question answering with short answers, ids with leading zeros, exact-match scores.
# Do:          pandas: dtype=False; pyarrow: explicit_schema; datasets: features=; DuckDB: columns=.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q pandas==3.1.1 pyarrow==26.0.1 datasets==5.2.0 duckdb==2.0.1 polars==2.1.0
venv/bin/python - <<'EOF'
import json, datasets, duckdb, pandas as pd, polars as pl, pyarrow as pa, pyarrow.json

print("pandas", pd.__version__, "pyarrow", pa.__version__, "datasets", datasets.__version__,
      "duckdb", duckdb.__version__, "polars", pl.__version__)
rows = [{"id": "007", "price": "1.10", "ended": "1945-05-08", "hour": "9:05"},
        {"id": "7", "price": "1.1", "ended": "1989-11-09", "hour": "12:30"}]
with open("rows.jsonl", "w") as file:
    file.writelines(json.dumps(row) + "\n" for row in rows)
loaded = datasets.load_dataset("json", data_files="rows.jsonl", split="train")
read = {
    "pandas": pd.read_json("rows.jsonl", lines=True).to_dict("records"),
    "pyarrow": pa.json.read_json("rows.jsonl").to_pylist(),
    "datasets": list(loaded),
    "duckdb": duckdb.sql("select * from 'rows.jsonl'").fetchdf().to_dict("records"),
    "polars": pl.read_ndjson("rows.jsonl").to_dicts(),
}
changed = {}
for reader, found in read.items():
    first = {key: str(value) for key, value in found[0].items()}
    changed[reader] = {key for key in first if first[key] != rows[0][key]}
    print(f"{reader:8}", first)
assert changed == {"pandas": {"id", "price"}, "pyarrow": {"ended"}, "datasets": {"ended"},
                   "duckdb": {"ended", "hour"}, "polars": set()}, changed
assert read["pandas"][0]["id"] == read["pandas"][1]["id"]
EOF
