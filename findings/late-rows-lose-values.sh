#!/usr/bin/env bash
# What comes late in a JSONL file vanishes in Polars and is rounded in DuckDB.
#
# Good guess:  a schema that was inferred from the first rows is later either widened or violated loudly.
# What happens: each library is strict about one thing and silent about the other. Polars infers from 100 rows and
#              drops a field that first appears in row 101; a late 3.7 in a column of whole numbers is an
#              error there. DuckDB infers from 20,480 rows; a late field is an error, but the late 3.7
#              is stored as 4.
# Seen with:   polars 2.1.0, duckdb 2.0.1.
# Hurts:       logs whose optional fields are rare (weight, error, tool_calls), ratings that are whole
#              numbers at first: weights are gone, scores are rounded, row counts agree.
# Do:          polars: infer_schema_length=None; duckdb: sample_size=-1; or name the schema.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q polars==2.1.0 duckdb==2.0.1
venv/bin/python - <<'EOF'
import json, duckdb, polars as pl

print("polars", pl.__version__, "duckdb", duckdb.__version__)

def write(name, count, *late):
    with open(name, "w") as file:
        file.writelines('{"score": 3}\n' for _ in range(count))
        file.writelines(row + "\n" for row in late)

write("short.jsonl", 100, '{"score": 4, "weight": 2.5}')
write("long.jsonl", 25_000, '{"score": 3.7}')
write("field.jsonl", 25_000, '{"score": 4, "weight": 2.5}')

default, whole = pl.read_ndjson("short.jsonl"), pl.read_ndjson("short.jsonl", infer_schema_length=None)
print(f"polars: a weight in row 101 gives {default[-1].to_dicts()}, infer_schema_length=None {whole[-1].to_dicts()}")
assert default.columns == ["score"] and whole[-1].to_dicts() == [{"score": 4, "weight": 2.5}]

rounded, exact = (duckdb.sql(f"select score from read_json('long.jsonl'{more})").fetchall()[-1][0]
                  for more in ("", ", sample_size=-1"))
print(f"duckdb: a score of 3.7 in row 25001 gives {rounded}, sample_size=-1 {exact}")
assert (rounded, exact) == (4, 3.7)

write("fraction.jsonl", 100, '{"score": 3.7}')
for name, read in (("polars, late 3.7", lambda: pl.read_ndjson("fraction.jsonl")),
                   ("duckdb, late field", lambda: duckdb.sql("select * from 'field.jsonl'").fetchall())):
    try:
        read()
        raise SystemExit(f"{name}: no error any more")
    except (pl.exceptions.ComputeError, duckdb.Error) as error:
        print(f"{name}: {type(error).__name__}")
EOF
