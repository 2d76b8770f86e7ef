"""Reader of latency tables that others measured, as CSV or Parquet, told apart by their columns."""

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tailorbird.errors import RecipeError, shown
from tailorbird.latency_tables.formats.imported import Stated
from tailorbird.latency_tables.tables.price import (
    LARGEST_RELATIVE_STD,
    LONGEST_MS,
    SHORTEST_MS,
    is_latency,
    is_spread,
)
from tailorbird.published import ofa_latencies
from tailorbird.storage.foreign import bounded_file, csv_sheet, parquet_columns
from tailorbird.storage.foreign.csv_sheet import Row, Rows, Sheet

_LONGEST_KEY = 1_000
_KINDS = {
    "key": parquet_columns.TEXT,
    "ms": parquet_columns.NUMBER,
    "std_ms": parquet_columns.NUMBER,
}
_INDEX = re.compile(r"__index_level_\d+__")  # pandas' numbers of rows
_EXPORTED = b"tailorbird"
"""Key in the metadata of Parquet files that this package wrote."""

_EXPORTED_JSON = re.compile(rb'\s*\{\s*"(table|rounds)"\s*:')

_Parse = Callable[[Row], tuple[str, float, float | None]]
"""Gives key, milliseconds and spread of a row; raises ValueError with what is wrong in it."""


@dataclass(frozen=True, slots=True, eq=False)
class ForeignTable:
    """Latencies that a file of others states.

    Attributes:
        stated: latencies of distinct workloads.
        provenance: name and SHA-256 of the file, and where it is from, if that is known.
        batch: batch size; None where the keys alone tell.
        place: what the numbers of rows count, such as `line`.
    """

    stated: tuple[Stated, ...]
    provenance: Mapping[str, str]
    batch: int | None
    place: str


def is_foreign(path: Path) -> bool:
    """True if a file has the suffix of a table, but was not exported by this package.

    Raises:
        RecipeError: if it cannot be read.
    """
    match csv_sheet.ending(path):
        case ".csv":
            return not bounded_file.read(path).startswith(b"# {")
        case ".csv.gz":
            return True
        case ".json":
            content = bounded_file.read(path)
            return _EXPORTED_JSON.match(content) is None
        case ".parquet":
            content = bounded_file.read(path)
            return _EXPORTED not in (parquet_columns.schema(content, path).metadata or {})
    return False


def read(path: Path) -> ForeignTable:
    """Reads a file with the columns key, ms and perhaps std_ms, or with those of OFA's table.

    Raises:
        RecipeError: naming the first line or row that is wrong.
    """
    match csv_sheet.ending(path):
        case ".json":
            raise RecipeError(
                f"Latencies of your own are read from CSV or Parquet with the columns key, ms and "
                f"perhaps std_ms, but {str(path)!r} is JSON. Write a row for each workload there."
            )
        case ".parquet":
            sheet = _from_parquet(path)
        case _:
            sheet = csv_sheet.read(path)
    facts = {"file": path.name, "sha256": sheet.file_sha256}
    names = sorted(sheet.columns)
    if names in (["key", "ms"], ["key", "ms", "std_ms"]):
        return ForeignTable(_stated(sheet, _plain), facts, None, sheet.place)
    if names == sorted(ofa_latencies.COLUMNS):
        if sheet.text_sha256 == ofa_latencies.SHA256:
            facts |= ofa_latencies.SOURCE
        stated = _stated(sheet, _of_ofa)
        return ForeignTable(stated, facts, ofa_latencies.BATCH, sheet.place)
    if not names:
        raise RecipeError(f"The file {str(path)!r} is empty.")
    raise sheet.refusal(
        1,
        "the columns must be key, ms and perhaps std_ms, or those of OFA's published table "
        f"({', '.join(ofa_latencies.COLUMNS)}), but are {csv_sheet.listed(sheet.columns)}",
    )


def _from_parquet(path: Path) -> Sheet:
    """Reads Parquet as the rows of text that CSV has, so that the same laws hold for both."""
    content = bounded_file.read(path)
    names = parquet_columns.schema(content, path).names
    wanted = [name for name in _KINDS if name in names or name != "std_ms"]
    others = [name for name in names if name not in wanted and not _INDEX.fullmatch(name)]
    if others:
        raise RecipeError(
            "Latencies of your own must have the columns key, ms and perhaps std_ms, but "
            f"{str(path)!r} has {csv_sheet.listed(tuple(names))}. Drop the others."
        )
    table = parquet_columns.read(content, path, {name: _KINDS[name] for name in wanted})
    rows = zip(*(map(_cell, table[name].to_pylist()) for name in wanted), strict=True)
    digest = hashlib.sha256(content).hexdigest()
    cells = Rows(tuple(wanted), dict(enumerate(rows, start=1)))
    return Sheet(path, tuple(wanted), cells, "row", digest, digest)


def _cell(value: str | float | None) -> str:
    return "" if value is None else str(value)


def _stated(found: Sheet, parse: _Parse) -> tuple[Stated, ...]:
    by_key: dict[str, Stated] = {}
    for line, row in found.rows.items():
        try:
            one = Stated(*parse(row), line)
        except ValueError as error:
            raise found.refusal(line, str(error)) from None
        first = by_key.setdefault(one.key, one)
        if (first.ms, first.std_ms) != (one.ms, one.std_ms):
            raise found.refusal(
                line, f"{one.key} has {one}, but {first} in {found.place} {first.line}"
            )
    if not by_key:
        raise RecipeError(f"The file {str(found.path)!r} has a header, but no latencies.")
    return tuple(by_key.values())


def _plain(row: Row) -> tuple[str, float, float | None]:
    key = row["key"].strip()
    if not key:
        raise ValueError("the key of the workload is missing")
    if not key.isprintable():
        raise ValueError(f"a key must be printable, but is {shown(key)}")
    if len(key) > _LONGEST_KEY:
        raise ValueError(f"a key has at most {_LONGEST_KEY:,} characters, but {shown(key)} more")
    std_ms = _number(row, "std_ms") if row.get("std_ms", "").strip() else None
    return key, *_priced(_number(row, "ms"), std_ms, "ms", "std_ms")


def _of_ofa(row: Row) -> tuple[str, float, float | None]:
    variance = _number(row, "var")
    std_ms = math.sqrt(variance) if variance >= 0 else variance
    return ofa_latencies.workload(row).key, *_priced(_number(row, "mean"), std_ms, "mean", "var")


def _priced(
    ms: float, std_ms: float | None, name: str, name_of_std: str
) -> tuple[float, float | None]:
    """Checks a latency and its spread; errors name their columns."""
    if not 0 < ms < math.inf:
        raise ValueError(f"{name} must be finite and positive, but is {ms!r}")
    if not is_latency(ms):
        raise ValueError(f"{name} must be {SHORTEST_MS:g} to {LONGEST_MS:g} ms, but is {ms!r}")
    if std_ms is None or is_spread(std_ms, ms):
        return ms, std_ms
    if not 0 <= std_ms < math.inf:
        raise ValueError(f"{name_of_std} must be finite and not negative, but is {std_ms!r}")
    raise ValueError(
        f"{name_of_std} must be a spread of at most {LARGEST_RELATIVE_STD:g} times the latency, "
        f"but it is {std_ms!r} ms of {ms!r} ms"
    )


def _number(row: Row, name: str) -> float:
    text = row[name].strip()
    if not text:
        raise ValueError(f"{name} is missing")
    try:
        if "_" not in text:  # which Python would skip
            return float(text)
    except ValueError:
        pass
    hint = ", with a comma for a decimal point" if "," in text else ""
    raise ValueError(f"{name} must be a number, but is {shown(text)}{hint}")
