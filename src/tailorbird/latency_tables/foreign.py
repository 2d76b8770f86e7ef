"""Tables that others measured, as CSV; what they hold is told by their header."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tailorbird.errors import RecipeError
from tailorbird.latency_tables import published_ofa, sheet
from tailorbird.latency_tables.imported import Stated
from tailorbird.latency_tables.price import (
    LARGEST_RELATIVE_STD,
    LONGEST_MS,
    SHORTEST_MS,
    is_latency,
    is_spread,
)
from tailorbird.latency_tables.sheet import Row, Sheet

_EXPORTED = b"# {"
"""How a table begins that this package wrote."""

_Parse = Callable[[Row], tuple[str, float, float | None]]
"""Key, milliseconds and spread of a row; a ValueError says what is wrong with it."""


@dataclass(frozen=True, slots=True, eq=False)
class ForeignTable:
    """What such a file says.

    Attributes:
        stated: latencies of distinct workloads.
        provenance: name and SHA-256 of the file, and where it is from, if that is known.
        batch: images at once; None where the keys alone tell.
    """

    stated: tuple[Stated, ...]
    provenance: Mapping[str, str]
    batch: int | None


def is_foreign(path: Path) -> bool:
    """Whether it is a CSV file, perhaps compressed, that this package did not export.

    Raises:
        RecipeError: if it cannot be read.
    """
    name = path.name.lower()
    if name.endswith(".csv"):
        return not sheet.content(path).startswith(_EXPORTED)
    return name.endswith(".csv.gz")


def read(path: Path) -> ForeignTable:
    """A file with the columns key, ms and perhaps std_ms, or with those of OFA's table.

    Raises:
        RecipeError: naming the first line that is wrong.
    """
    found = sheet.read(path)
    facts = {"file": path.name, "sha256": found.file_sha256}
    columns = sorted(found.columns)
    if columns in (["key", "ms"], ["key", "ms", "std_ms"]):
        return ForeignTable(_stated(found, _plain), facts, None)
    if columns == sorted(published_ofa.COLUMNS):
        if found.text_sha256 == published_ofa.SHA256:
            facts |= published_ofa.SOURCE
        return ForeignTable(_stated(found, _of_ofa), facts, published_ofa.BATCH)
    if not columns:
        raise RecipeError(f"The file {str(path)!r} is empty.")
    raise found.refusal(
        1,
        "the columns must be key, ms and perhaps std_ms, or those of OFA's published table "
        f"({', '.join(published_ofa.COLUMNS)}), but are {', '.join(found.columns)}",
    )


def _stated(found: Sheet, parse: _Parse) -> tuple[Stated, ...]:
    by_key: dict[str, Stated] = {}
    for line, row in found.rows.items():
        try:
            one = Stated(*parse(row), line)
        except ValueError as error:
            raise found.refusal(line, str(error)) from None
        first = by_key.setdefault(one.key, one)
        if (first.ms, first.std_ms) != (one.ms, one.std_ms):
            raise found.refusal(line, f"{one.key} has {one}, but {first} in line {first.line}")
    if not by_key:
        raise RecipeError(f"The file {str(found.path)!r} has a header, but no latencies.")
    return tuple(by_key.values())


def _plain(row: Row) -> tuple[str, float, float | None]:
    key = row["key"].strip()
    if not key:
        raise ValueError("the key of the workload is missing")
    std_ms = _number(row, "std_ms") if row.get("std_ms", "").strip() else None
    return key, *_priced(_number(row, "ms"), std_ms, "ms", "std_ms")


def _of_ofa(row: Row) -> tuple[str, float, float | None]:
    variance = _number(row, "var")
    std_ms = math.sqrt(variance) if variance >= 0 else variance
    return published_ofa.workload(row).key, *_priced(_number(row, "mean"), std_ms, "mean", "var")


def _priced(
    ms: float, std_ms: float | None, name: str, name_of_std: str
) -> tuple[float, float | None]:
    """A latency and its spread, refused under the names of their columns."""
    if not 0 < ms < math.inf:
        raise ValueError(f"{name} must be finite and positive, but is {ms:g}")
    if not is_latency(ms):
        raise ValueError(f"{name} must be {SHORTEST_MS:g} to {LONGEST_MS:g} ms, but is {ms:g}")
    if std_ms is None or is_spread(std_ms, ms):
        return ms, std_ms
    if not 0 <= std_ms < math.inf:
        raise ValueError(f"{name_of_std} must be finite and not negative, but is {std_ms:g}")
    raise ValueError(
        f"{name_of_std} must be a spread of at most {LARGEST_RELATIVE_STD:g} times the latency, "
        f"but it is {std_ms:g} ms of {ms:g} ms"
    )


def _number(row: Row, name: str) -> float:
    text = row[name].strip()
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, but is {text!r}") from None
