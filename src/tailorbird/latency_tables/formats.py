"""Rows and what heads them, as bytes of Parquet, CSV and JSON."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from tailorbird.latency_tables.flat import COLUMNS, TEXTS

Head = dict[str, Any]
Rows = list[dict[str, Any]]

_KEY = "tailorbird"  # of the head in the metadata of a Parquet file


def _to_json(head: Head, rows: Rows) -> bytes:
    lines = ",\n ".join(json.dumps(row) for row in rows)
    return f'{{"table": {json.dumps(head, indent=1)},\n"rounds": [\n {lines}]}}\n'.encode()


def _from_json(content: bytes) -> tuple[Head, Rows]:
    document = json.loads(content)
    return document["table"], document["rounds"]


def _to_csv(head: Head, rows: Rows) -> bytes:
    """Text as it is, everything else as JSON; comments before the header hold the rest."""
    text = io.StringIO(newline="")
    text.writelines(f"# {line}\n" for line in json.dumps(head, indent=1).splitlines())
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(
            row[c] if c in TEXTS else "" if row[c] is None else json.dumps(row[c]) for c in COLUMNS
        )
    return text.getvalue().encode()


def _from_csv(content: bytes) -> tuple[Head, Rows]:
    text = io.StringIO(content.decode(), newline="")
    comments, line = "", text.readline()
    while line.startswith("#"):
        comments, line = comments + line[1:], text.readline()
    columns = next(csv.reader([line]))
    rows: Rows = []
    for cells in csv.reader(text):
        row = dict(zip(columns, cells, strict=True))
        rows.append({c: v if c in TEXTS else json.loads(v or "null") for c, v in row.items()})
        if row["status"] != "failed":  # an empty cell is no reason
            rows[-1]["reason"] = None
    return json.loads(comments), rows


def _to_parquet(head: Head, rows: Rows) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    types = dict.fromkeys(COLUMNS, pa.int64()) | dict.fromkeys(TEXTS, pa.string())
    types |= {"reference_ms": pa.float64(), "provenance": pa.string()}
    types |= dict.fromkeys(("ms", "hot_ms"), pa.list_(pa.float64()))
    schema = pa.schema([(c, types[c]) for c in COLUMNS], metadata={_KEY: json.dumps(head)})
    flat = [{**row, "provenance": json.dumps(row["provenance"])} for row in rows]
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(flat, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def _from_parquet(content: bytes) -> tuple[Head, Rows]:
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(content))
    head = json.loads((table.schema.metadata or {})[_KEY.encode()])
    rows = table.to_pylist()
    return head, [{**row, "provenance": json.loads(row["provenance"])} for row in rows]


Format = tuple[Callable[[Head, Rows], bytes], Callable[[bytes], tuple[Head, Rows]]]

FORMATS: dict[str, Format] = {
    ".parquet": (_to_parquet, _from_parquet),
    ".csv": (_to_csv, _from_csv),
    ".json": (_to_json, _from_json),
}
"""How to write and read, by suffix."""
