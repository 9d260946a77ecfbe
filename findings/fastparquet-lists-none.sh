#!/usr/bin/env bash
# fastparquet reads lists of structs, and lists by Polars and DuckDB, as None.
#
# Good guess:  a Parquet file is a Parquet file: fastparquet returns the nested values, or raises.
# What happens: a column of lists of structs (chat messages, scored responses) is None in every row. So
#              is a plain list of strings when Polars or DuckDB wrote it, though the same list by
#              pyarrow is read. Row count and column names are right; nothing warns.
# Seen with:   fastparquet 2026.9.0 reading pyarrow 26.0.1, polars 2.1.0, duckdb 2.0.1.
# Hurts:       pandas.read_parquet(engine="fastparquet"), or pandas without pyarrow, on preference data:
#              after dropna() the set is empty, with fillna("") it is all empty texts.
# Do:          read nested data with pyarrow; check a list column for None right after reading.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q fastparquet==2026.9.0 pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1
venv/bin/python - <<'EOF'
import duckdb, fastparquet, polars, pyarrow as pa, pyarrow.parquet as pq

print("fastparquet", fastparquet.__version__, "pyarrow", pa.__version__, "polars", polars.__version__,
      "duckdb", duckdb.__version__)
rows = [{"prompt": "p", "words": ["x", "y"], "messages": [{"role": "user", "content": "hi"}]},
        {"prompt": "q", "words": ["z"], "messages": [{"role": "user", "content": "yo"}]}]
table = pa.Table.from_pylist(rows)
pq.write_table(table, "pyarrow.parquet")
polars.DataFrame(rows).write_parquet("polars.parquet")
duckdb.sql("copy (select * from 'pyarrow.parquet') to 'duckdb.parquet'")
for writer in "pyarrow", "polars", "duckdb":
    file = f"{writer}.parquet"
    assert [r["messages"][0]["content"] for r in pq.read_table(file).to_pylist()] == ["hi", "yo"]
    found = fastparquet.ParquetFile(file).to_pandas()
    words, messages = (found[c].tolist() for c in ("words", "messages"))
    print(f"written by {writer:8} words {words}, messages {messages}")
    assert list(found["prompt"]) == ["p", "q"]
    assert messages == [None, None]
    assert words == ([["x", "y"], ["z"]] if writer == "pyarrow" else [None, None])
EOF
