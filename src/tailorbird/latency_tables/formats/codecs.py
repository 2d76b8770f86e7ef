"""Encoders and decoders of exported tables, a head and its rows: Parquet, CSV and JSON."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from tailorbird.latency_tables.formats.plain_rows import COLUMNS, TEXTS
from tailorbird.storage.foreign import bounded_parquet
from tailorbird.storage.foreign.bounded_file import LARGEST_BYTES

Head = dict[str, Any]
Rows = list[dict[str, Any]]

_KEY = "tailorbird"  # of the head, in the metadata of Parquet
_MOST_DIGITS = 4_000  # of an integer; Python refuses 4,300 with a message that helps nobody


def _to_json(head: Head, rows: Rows) -> bytes:
    lines = ",\n ".join(json.dumps(row) for row in rows)
    return f'{{"table": {json.dumps(head, indent=1)},\n"rounds": [\n {lines}]}}\n'.encode()


def _from_json(content: bytes) -> tuple[Head, Rows]:
    document = _parsed(content)
    if not isinstance(document, dict) or document.keys() != {"table", "rounds"}:
        raise ValueError("it must hold a table and its rounds, and nothing else")
    return document["table"], document["rounds"]


def _to_csv(head: Head, rows: Rows) -> bytes:
    """Writes texts as they are and other cells as JSON; comments above the header hold the head."""
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
    columns = next(csv.reader([line]), [])
    _check_columns(columns)
    rows: Rows = []
    for number, cells in enumerate(csv.reader(text, strict=True), 1):
        if len(cells) != len(columns):
            raise ValueError(f"row {number} has {len(cells)} cells of {len(columns)}")
        row = dict(zip(columns, cells, strict=True))
        rows.append({c: v if c in TEXTS else _cell(v, number, c) for c, v in row.items()})
        if row["status"] != "failed":  # an empty cell is no reason
            rows[-1]["reason"] = row["reason"] or None
    return _parsed(comments), rows


def _to_parquet(head: Head, rows: Rows) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema(_types(), metadata={_KEY: json.dumps(head)})
    flat = [{**row, "provenance": json.dumps(row["provenance"])} for row in rows]
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(flat, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def _from_parquet(content: bytes) -> tuple[Head, Rows]:
    from pyarrow import parquet

    schema = parquet.read_schema(io.BytesIO(content))
    metadata = schema.metadata or {}
    if _KEY.encode() not in metadata:
        raise ValueError("its metadata hold no table")
    _check_columns(schema.names)
    for name, wanted in _types().items():
        found = schema.field(name).type
        if found != wanted:
            raise ValueError(f"the column {name} must be of the type {wanted}, but is {found}")
    head = _parsed(metadata[_KEY.encode()])
    rows = bounded_parquet.read(content, LARGEST_BYTES).to_pylist()
    return head, [
        {**row, "provenance": _cell(row["provenance"], number, "provenance")}
        for number, row in enumerate(rows, 1)
    ]


def _types() -> dict[str, Any]:
    """Arrow type of each column."""
    import pyarrow as pa

    types = dict.fromkeys(COLUMNS, pa.int64()) | dict.fromkeys(TEXTS, pa.string())
    types |= {"reference_ms": pa.float64(), "provenance": pa.string()}
    return types | dict.fromkeys(("ms", "hot_ms"), pa.list_(pa.float64()))


def _check_columns(found: Sequence[str]) -> None:
    """Refuses columns that are not those of a table, each once."""
    missing = [name for name in COLUMNS if name not in found]
    others = [name for name in found if name not in COLUMNS]
    if missing:
        raise ValueError(f"the column {missing[0]} is missing")
    if others:
        raise ValueError(f"the column {others[0]!r} is not known to this tailorbird")
    if len(found) > len(COLUMNS):
        raise ValueError("each column must be there once")


def _cell(text: str | None, row: int, column: str) -> Any:
    """Value of a cell that holds JSON; None if it is empty."""
    try:
        return _parsed(text or "null")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"row {row}, {column}: must be JSON ({error})") from None


def _parsed(text: str | bytes) -> Any:
    """Parses JSON in which no object has a key twice.

    Raises:
        ValueError: if it is none, or too deep.
    """
    try:
        return json.loads(text, object_pairs_hook=_fields, parse_int=_integer)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field must be there once, but one is there again")
    return fields


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(
            f"an integer may have {_MOST_DIGITS:,} digits, but one has {len(digits):,}"
        )
    return int(digits)


Format = tuple[Callable[[Head, Rows], bytes], Callable[[bytes], tuple[Head, Rows]]]

FORMATS: dict[str, Format] = {
    ".parquet": (_to_parquet, _from_parquet),
    ".csv": (_to_csv, _from_csv),
    ".json": (_to_json, _from_json),
}
"""Encoder and decoder by suffix of the file."""
