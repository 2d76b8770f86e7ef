"""Exported latency tables as files, written and read by other means than the package's own.

Whatever head and rows hold, the checksum is right, so that only their values can be refused.
"""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = ("uid", "taken", "key", "session", "status", "reason")
LISTS = ("ms", "hot_ms")
COSTS = ("n_macs", "n_params", "weight_bytes", "peak_activation_bytes")
COLUMNS = (
    *("uid", "taken", "key", "session", "status", "round", "ms", "hot_ms", "reference_ms"),
    *("reason", "provenance", *COSTS),
)
SUFFIXES = (".csv", ".json", ".parquet")

_HEAD = b"tailorbird"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an exported table holds; both may be anything in wrong ones."""

    head: Any
    rows: Any


def digest(head: Any, rows: Any) -> str:
    return hashlib.sha256(json.dumps([head, rows], sort_keys=True).encode()).hexdigest()


def read(content: bytes, suffix: str) -> Exported:
    """What a file holds, its checksum included.

    Raises:
        Exception: whatever libraries raise about other content.
    """
    match suffix:
        case ".json":
            document = json.loads(content)
            return Exported(document["table"], document["rounds"])
        case ".csv":
            return _from_csv(content)
    table = pq.read_table(pa.BufferReader(content))
    rows = [{**row, "provenance": json.loads(row["provenance"])} for row in table.to_pylist()]
    return Exported(json.loads(table.schema.metadata[_HEAD]), rows)


def is_whole(table: Exported) -> bool:
    """Whether it has the checksum that it says."""
    head = dict(table.head)
    return bool(head.pop("sha256") == digest(head, table.rows))


def write(table: Exported, suffix: str) -> tuple[bytes, Exported]:
    """A file with the right checksum, and what a reader sees, which has types of the format.

    Raises:
        ValueError, TypeError, LookupError, pyarrow.ArrowException: if the format cannot hold it.
    """
    if suffix == ".json":
        seen = table
    elif suffix == ".csv":
        seen = Exported(table.head, [_as_csv(row) for row in table.rows])
    else:
        arrow = _arrow(table)
        seen = Exported(table.head, [_unpacked(row) for row in arrow.to_pylist()])
    head = seen.head
    if isinstance(head, dict):
        head = {**head, "sha256": digest(head, seen.rows)}
    if suffix == ".json":
        rows = seen.rows
        lines = ",\n ".join(map(json.dumps, rows)) if isinstance(rows, list) else ""
        told = f"[\n {lines}]" if isinstance(rows, list) else json.dumps(rows)
        content = f'{{"table": {json.dumps(head, indent=1)},\n"rounds": {told}}}\n'.encode()
    elif suffix == ".csv":
        content = _to_csv(head, seen.rows)
    else:
        sink = io.BytesIO()
        metadata = {_HEAD: json.dumps(head).encode()}
        pq.write_table(arrow.replace_schema_metadata(metadata), sink, compression="zstd")
        content = sink.getvalue()
    return content, Exported(head, seen.rows)


def _as_csv(row: dict[str, Any]) -> dict[str, Any]:
    """A row as its line is read: what is text stays text."""
    read = {
        name: value
        if name not in TEXTS or isinstance(value, str)
        else ("" if value is None else json.dumps(value))
        for name, value in row.items()
    }
    if read.get("status") != "failed":
        read["reason"] = None
    return read


def _to_csv(head: Any, rows: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    text.writelines(f"# {line}\n" for line in json.dumps(head, indent=1).splitlines())
    columns = list(rows[0]) if rows else list(COLUMNS)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = ((name, row[name]) for name in columns)
        writer.writerow(
            v if name in TEXTS else "" if v is None else json.dumps(v) for name, v in cells
        )
    return text.getvalue().encode()


def _from_csv(content: bytes) -> Exported:
    text = io.StringIO(content.decode(), newline="")
    comments, line = "", text.readline()
    while line.startswith("#"):
        comments, line = comments + line[1:], text.readline()
    columns = next(csv.reader([line], strict=True))
    rows = []
    for cells in csv.reader(text, strict=True):
        row: dict[str, Any] = dict(zip(columns, cells, strict=True))
        rows.append({n: v if n in TEXTS else json.loads(v or "null") for n, v in row.items()})
        if row["status"] != "failed":
            rows[-1]["reason"] = None
    return Exported(json.loads(comments), rows)


def _arrow(table: Exported) -> pa.Table:
    """Columns of the usual types where their values have these, else of what they do have."""
    names = list(dict.fromkeys(name for row in table.rows for name in row))
    columns = {}
    for name in names:
        values = [row.get(name) for row in table.rows]
        if name == "provenance":
            values = [json.dumps(value) for value in values]
        columns[name] = _column(name, values)
    return pa.table(columns)


def _column(name: str, values: list[Any]) -> pa.Array:
    usual = pa.int64()
    if name in (*TEXTS, "provenance"):
        usual = pa.string()
    elif name in LISTS:
        usual = pa.list_(pa.float64())
    elif name == "reference_ms":
        usual = pa.float64()
    for type_ in (usual, None):
        try:
            return pa.array(values, type_)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            continue
    return pa.array([value if isinstance(value, str) else json.dumps(value) for value in values])


def _unpacked(row: dict[str, Any]) -> dict[str, Any]:
    if "provenance" in row:
        return {**row, "provenance": json.loads(row["provenance"])}
    return row


def packed(content: bytes) -> bytes:
    """The file as gzip writes it, the same at any time."""
    return gzip.compress(content, mtime=0)


def shipped(name: str) -> Exported:
    """A table that comes with the package, without its checksum."""
    from tailorbird.latency_tables import shipped

    found = next(t for t in shipped.shipped_tables() if Path(t.file.name).stem == name)
    table = read(found.file.read_bytes(), ".parquet")
    return Exported({k: v for k, v in table.head.items() if k != "sha256"}, table.rows)
