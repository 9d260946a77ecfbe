# /// script
# requires-python = ">=3.11"
# dependencies = ["pandas==3.1.1", "polars==2.1.0", "duckdb==2.0.1", "pyarrow==26.0.1", "fastparquet==2026.9.0", "datasets==5.2.0"]
# ///
"""Writes tests/fixtures/cases/writers: the same rows as each library writes them to Parquet.

Run with the versions above; tests/parity/README.md says how.
"""

import json
import sys
from decimal import Decimal
from pathlib import Path

import datasets
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path(__file__).parent.parent / "fixtures/cases/writers"
FOLDER.mkdir(parents=True, exist_ok=True)

PROMPTS = ["p", "p", "p", "q", "q", "q"]
RESPONSES = ["a", "b", "c", "d", "e", "été"]
SCORES = [1.0, None, 3.5, 4.0, -5.25, 6.0]
WHOLE = [1, None, 3, 4, -5, 6]


def path(name):
    return str(FOLDER / f"{name}.parquet")


frame = pd.DataFrame({"prompt": PROMPTS, "response": RESPONSES, "score": SCORES})
for compression in ["brotli", "lz4", "gzip", "zstd", "snappy", None]:
    frame.to_parquet(path(f"pandas_{compression or 'plain'}"), compression=compression)
frame.to_parquet(path("fastparquet"), engine="fastparquet")

polars = pl.DataFrame({"prompt": PROMPTS, "response": RESPONSES, "score": SCORES})
polars.with_columns(pl.col("score").fill_null(float("nan"))).write_parquet(path("polars_nan"))
polars.with_columns(
    pl.col("score").cast(pl.Decimal(20, 2)), pl.col("response").cast(pl.Categorical)
).write_parquet(path("polars_decimal"))
pl.DataFrame({"prompt": PROMPTS, "response": RESPONSES, "score": pl.Series(WHOLE, dtype=pl.Int128)}).write_parquet(
    path("whole_polars_int128")
)

duckdb.sql(f"copy (select * from frame) to '{path('duckdb_v2')}' (parquet_version v2, compression lz4_raw)")
duckdb.sql(
    f"""copy (select prompt, response, score::decimal(18, 2) as score, map {{'a': 1}} as m, interval 1 day as i,
        '{{"a": 1}}'::json as j, timestamp '2026-01-01' as t, 'x'::blob as b from frame)
        to '{path('duckdb_types')}'"""
)

TEXTS = {
    "string": pa.array(RESPONSES),
    "large_string": pa.array(RESPONSES, pa.large_string()),
    "string_view": pa.array(RESPONSES, pa.string_view()),
    "binary": pa.array([text.encode() for text in RESPONSES]),
    "dictionary": pa.array(RESPONSES).dictionary_encode(),
}
for name, responses in TEXTS.items():
    table = pa.table({"prompt": PROMPTS, "response": responses, "score": SCORES})
    pq.write_table(table, path(f"pyarrow_{name}"), row_group_size=4)

DECIMALS = [None if score is None else Decimal(str(score)) for score in SCORES]
NUMBERS = {
    "float16": pa.array(SCORES).cast(pa.float16()),
    "float32": pa.array(SCORES).cast(pa.float32()),
    "decimal32": pa.array(DECIMALS, pa.decimal32(9, 2)),
    "decimal64": pa.array(DECIMALS, pa.decimal64(18, 2)),
    "decimal128": pa.array(DECIMALS, pa.decimal128(38, 2)),
    "decimal256": pa.array(DECIMALS, pa.decimal256(76, 2)),
    "dictionary_number": pa.array(SCORES).dictionary_encode(),
    "text_number": pa.array([None if score is None else str(score) for score in SCORES]),
}
for name, scores in NUMBERS.items():
    table = pa.table({"prompt": PROMPTS, "response": RESPONSES, "score": scores})
    pq.write_table(table, path(f"pyarrow_{name}"))
pq.write_table(
    pa.table({"prompt": PROMPTS, "response": RESPONSES, "score": SCORES}),
    path("pyarrow_split"),
    use_dictionary=False,
    column_encoding={"prompt": "DELTA_BYTE_ARRAY", "response": "DELTA_LENGTH_BYTE_ARRAY", "score": "BYTE_STREAM_SPLIT"},
)
for bits in [8, 16, 32, 64]:
    scores = pa.array(WHOLE, getattr(pa, f"int{bits}")())
    pq.write_table(
        pa.table({"prompt": PROMPTS, "response": RESPONSES, "score": scores}), path(f"whole_pyarrow_int{bits}")
    )

LISTS = [RESPONSES[:3], RESPONSES[3:]]
LIST_SCORES = [SCORES[:3], SCORES[3:]]
TYPES = {
    "list": pa.list_,
    "large_list": pa.large_list,
    "list_view": pa.list_view,
    "large_list_view": pa.large_list_view,
    "fixed_size_list": lambda item: pa.list_(item, 3),
}
for name, of in TYPES.items():
    columns = {
        "prompt": ["p", "q"],
        "generations": pa.array(LISTS, of(pa.string())),
        "generation_scores": pa.array(LIST_SCORES, of(pa.float64())),
    }
    pq.write_table(pa.table(columns), path(f"lists_{name}"))
pq.write_table(
    pa.table(
        {
            "prompt": ["p", "q"],
            "generations": [json.dumps(texts) for texts in LISTS],
            "generation_scores": [json.dumps(scores) for scores in LIST_SCORES],
        }
    ),
    path("lists_json"),
)
parts = [{"text": texts, "score": scores} for texts, scores in zip(LISTS, LIST_SCORES)]
pq.write_table(pa.table({"prompt": ["p", "q"], "responses": parts}), path("groups_struct_of_lists"))
entries = [[{"text": text, "score": score} for text, score in zip(*both)] for both in zip(LISTS, LIST_SCORES)]
datasets.Dataset.from_dict({"prompt": ["p", "q"], "responses": entries}).to_parquet(path("groups_datasets"))
frame = pd.DataFrame({"prompt": ["p", "q"], "responses": LISTS, "scores": LIST_SCORES})
frame.to_parquet(path("groups_fastparquet"), engine="fastparquet", object_encoding={"prompt": "utf8", "responses": "json", "scores": "json"})

if __name__ == "__main__":
    print(f"{len(list(FOLDER.glob('*.parquet')))} files", file=sys.stderr)
