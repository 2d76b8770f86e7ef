"""Files that records are exported to, as Parquet, CSV or JSON, without loss."""

import csv
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from tailorbird.errors import RecipeError
from tailorbird.latency_tables.formats import document
from tailorbird.latency_tables.formats.codecs import FORMATS, Format, Head, Rows
from tailorbird.latency_tables.formats.plain_rows import from_rows, to_rows
from tailorbird.latency_tables.tables.record import Record
from tailorbird.storage import atomic
from tailorbird.storage.foreign import bounded_file

FORMAT = 1
"""Raise it when the content changes; files of other formats are refused."""

_NAME = "tailorbird latency table"
_UNREADABLE = (
    *(ValueError, LookupError, TypeError, RuntimeError, OSError),
    *(ArithmeticError, AttributeError, MemoryError),
)
_LONGEST = 300  # characters quoted from a file


def is_file(path: Path) -> bool:
    """True if a name has a suffix of exported tables."""
    return path.suffix.lower() in FORMATS


def write(record: Record, path: Path) -> None:
    """Writes a record to a file, whole or not at all.

    Raises:
        RecipeError: if the suffix is unknown, or the file could not be read again.
        WriteError: if the file cannot be written.
    """
    to_bytes, _ = _format_of(path)
    head, rows = to_rows(record)
    head = {"name": _NAME, "format": FORMAT, "tailorbird": version("tailorbird"), **head}
    try:
        document.checked(head, rows)
    except ValueError as error:
        raise RecipeError(
            f"The table cannot be written to {str(path)!r} such that it could be read ({error}). "
            "Name the device, or the workload, otherwise."
        ) from None
    head["sha256"] = _digest(head, rows)
    atomic.write(path, to_bytes(head, rows))


def read(path: Path) -> Record:
    """Reads the record that a file holds.

    Raises:
        RecipeError: if the file cannot be read, is torn, or is no table of this format.
    """
    _, from_bytes = _format_of(path)
    content = bounded_file.read(path)
    try:
        return _checked(*from_bytes(content), str(path))
    except RecipeError:
        raise
    # What libraries raise about bytes that are none of theirs, and we about rows none of ours.
    except (*_UNREADABLE, csv.Error) as error:
        reason = (str(error).splitlines() or [""])[0][:_LONGEST].rstrip(".")
        raise RecipeError(
            f"The file {str(path)!r} is torn, or no table that tailorbird exported ({reason}). "
            "Export it anew with `tailorbird table export`."
        ) from error


def _checked(head: Head, rows: Rows, path: str) -> Record:
    if not isinstance(head, dict) or not isinstance(rows, list):
        raise ValueError("it must hold a head and rows")  # noqa: TRY004  # the file is wrong, no argument
    for name in ("name", "format", "sha256"):
        if name not in head:
            raise ValueError(f"head, {name} is missing")
    if head["name"] != _NAME:
        raise ValueError(f"it is a {str(head['name'])[:_LONGEST]!r}")
    if head["format"] != FORMAT:
        raise RecipeError(
            f"The file {path!r} has format {str(head['format'])[:_LONGEST]}; this tailorbird reads "
            f"{FORMAT}. Export it anew, or use the tailorbird that made it."
        )
    if head.pop("sha256") != _digest(head, rows):
        raise ValueError("its content does not have the checksum that it says")
    return from_rows(*document.checked(head, rows))


def _digest(head: Head, rows: Rows) -> str:
    """Checksum of the values, which is the same in every format."""
    text = json.dumps([head, rows], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _format_of(path: Path) -> Format:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise RecipeError(f"The file {str(path)!r} must end in {', '.join(FORMATS)}.")
    return FORMATS[suffix]
