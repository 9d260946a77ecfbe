#!/usr/bin/env bash
# to_json of pandas and datasets keeps ten decimals: small probabilities become 0.
#
# Good guess:  JSON written by a data library round-trips a double.
# What happens: numbers are rounded to ten digits behind the point, so 3e-11 is written as 0.0 and two
#              weights that differ in the eleventh digit are equal. datasets hands the work to pandas and
#              inherits it. Polars and DuckDB write the shortest text that reads back the same.
# Seen with:   pandas 3.1.1, datasets 5.2.0; polars 2.1.0 and duckdb 2.0.1 for comparison.
# Hurts:       likelihoods and importance weights (log(0) later), ties in scores, comparisons of two runs.
# Do:          pandas: double_precision=15 (its maximum, still not enough for 3e-16); datasets passes the
#              argument on; store logarithms; or write Parquet.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q pandas==3.1.1 datasets==5.2.0 polars==2.1.0 duckdb==2.0.1
venv/bin/python - <<'EOF'
import json, datasets, duckdb, pandas as pd, polars as pl

print("pandas", pd.__version__, "datasets", datasets.__version__, "polars", pl.__version__,
      "duckdb", duckdb.__version__)
values = [3e-11, 0.12345678901234]
frame = pl.DataFrame({"p": values})
pd.DataFrame({"p": values}).to_json("pandas", orient="records", lines=True)
datasets.Dataset.from_dict({"p": values}).to_json("datasets")
datasets.Dataset.from_dict({"p": values}).to_json("datasets-15", double_precision=15)
frame.write_ndjson("polars")
duckdb.sql("copy frame to 'duckdb' (format json)")
read = {name: [json.loads(line)["p"] for line in open(name)]
        for name in ("pandas", "datasets", "datasets-15", "polars", "duckdb")}
for name, found in read.items():
    print(f"{name:12}{found}")
assert read["pandas"] == read["datasets"] == [0.0, 0.123456789]
assert read["datasets-15"] == read["polars"] == read["duckdb"] == values
EOF
