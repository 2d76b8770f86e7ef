"""Exported tables in Parquet whose file is built in a way that nobody exports."""

import io
import json
import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fuzz import values
from fuzz.table_files import Exported, write

_MANY = 3_000_000


def built(rng: random.Random, right: Exported) -> tuple[bytes, str]:
    """A file, and how it differs."""
    content, _ = write(right, ".parquet")
    table = pq.read_table(pa.BufferReader(content))
    name = rng.choice(table.column_names)
    place = table.column_names.index(name)
    match rng.randrange(9):
        case 0:  # a few kilobytes that hold gigabytes
            columns = [pa.repeat(column[0], _MANY) for column in table.columns]
            many = pa.table(columns, table.column_names).replace_schema_metadata(
                table.schema.metadata
            )
            return _file(many), f"{_MANY} times the first row"
        case 1:
            return _file(table.append_column(name, table[name])), f"{name} is there twice"
        case 2:
            metadata = {**table.schema.metadata, b"tailorbird": rng.choice(_HEADS)}
            return _file(table.replace_schema_metadata(metadata)), "another head"
        case 3:
            return _file(table.replace_schema_metadata(None)), "no head"
        case 4:
            return _file(table, row_group_size=1), "a row in each group"
        case 5:
            kinds = (
                pa.binary(),
                pa.int8(),
                pa.float32(),
                pa.timestamp("ms"),
                pa.date32(),
                pa.bool_(),
            )
            kind = rng.choice(kinds)
            return _file(
                table.set_column(place, name, pa.nulls(len(table), kind))
            ), f"{name} is {kind}"
        case 6:
            texts = pa.array([json.dumps(value) for value in table[name].to_pylist()])
            return _file(table.set_column(place, name, texts)), f"{name} is JSON"
        case 7:
            codec = rng.choice(("snappy", "gzip", "none", "lz4", "brotli"))
            return _file(table, compression=codec), f"packed by {codec}"
    extra = pa.array([values.text(rng).encode("utf-8", "replace") for _ in table[name]])
    return _file(table.append_column("more", extra)), "another column"


_HEADS = (b"", b"{", b"[]", b"null", b"3", b"\xff", b"[" * 100_000, b"9" * 5_000, b'{"format": 1}')


def _file(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()
