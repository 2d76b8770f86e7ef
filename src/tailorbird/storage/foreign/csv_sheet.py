"""CSV that others wrote, perhaps compressed by gzip, as rows of text."""

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailorbird.errors import RecipeError, plain, shown
from tailorbird.storage.foreign import bounded_file
from tailorbird.storage.foreign.text import decoded

MOST_ROWS = 200_000

Row = Mapping[str, str]
"""Cells of a row, by column."""

_MOST_COLUMNS = 1_000
_SHOWN_COLUMNS = 20
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}


class Rows(Mapping[int, Row]):
    """Rows by their number, which take little more memory than their cells.

    Args:
        columns: names of the cells.
        cells: of each row, by its number.
    """

    def __init__(self, columns: tuple[str, ...], cells: Mapping[int, Sequence[str]]) -> None:
        self._columns, self._cells = columns, cells

    def __getitem__(self, number: int) -> Row:
        return dict(zip(self._columns, self._cells[number], strict=True))

    def __iter__(self) -> Iterator[int]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A header, and rows with as many cells.

    Attributes:
        path: of the file.
        columns: distinct names.
        rows: by number of their line; the header's is 1. In Parquet the first row is 1.
        place: what the numbers count, such as `line`.
        file_sha256: of the file.
        text_sha256: of its text, which compression does not change.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Rows
    place: str
    file_sha256: str
    text_sha256: str

    def refusal(self, number: int, reason: str) -> RecipeError:
        """Returns the error of a row."""
        return refusal(self.path, f"{self.place} {number}", reason)


def read(path: Path, what: str = "A table") -> Sheet:
    """Reads a file whose name ends in .csv or .csv.gz.

    Args:
        path: of the file.
        what: it should be, for messages.

    Raises:
        RecipeError: if it is torn, too large or no text in UTF-8, or a line has not as many cells
            as the header.
    """
    packed = bounded_file.read(path, what=what)
    content = packed
    if ending(path) == ".csv.gz":
        content = bounded_file.unpacked(packed, path, what=what)
    columns, cells = _parsed(decoded(content, path), path)
    digests = (hashlib.sha256(some).hexdigest() for some in (packed, content))
    return Sheet(path, columns, Rows(columns, cells), "line", *digests)


def ending(path: Path) -> str:
    """Returns the suffix of a file in lower case; `.csv.gz` is one suffix."""
    name = path.name.lower()
    return ".csv.gz" if name.endswith(".csv.gz") else path.suffix.lower()


def refusal(path: Path, place: str, reason: str) -> RecipeError:
    """Returns the error of a place in a file."""
    return RecipeError(f"The file {str(path)!r} cannot be read: {place}: {reason}.")


def check_columns(columns: tuple[str, ...], path: Path, place: str) -> None:
    """Refuses columns that are too many, or two of one name.

    Raises:
        RecipeError: if there are.
    """
    if len(columns) > _MOST_COLUMNS:
        reason = f"a table may have {_MOST_COLUMNS:,} columns, but there are {len(columns):,}"
        raise refusal(path, place, reason)
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        reason = f"each column needs a name of its own, but two are {shown(twice[0])}"
        raise refusal(path, place, reason)


def listed(columns: tuple[str, ...]) -> str:
    """Lists names of columns for a message."""
    more = len(columns) - _SHOWN_COLUMNS
    names = ", ".join(plain(name) or "''" for name in columns[:_SHOWN_COLUMNS])
    return f"{names} and {more:,} more" if more > 0 else names


def too_many_rows(path: Path) -> RecipeError:
    """Returns the error of a file that has too many rows."""
    return RecipeError(
        f"A table may have {MOST_ROWS:,} rows, but {str(path)!r} has more. Leave out those that "
        "are not needed."
    )


def _parsed(text: str, path: Path) -> tuple[tuple[str, ...], dict[int, list[str]]]:
    _check_separator(text, path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: tuple[str, ...] = ()
    rows: dict[int, list[str]] = {}
    try:
        for cells in reader:
            if not cells:
                continue
            place = f"line {reader.line_num}"
            if cells[0].lstrip().startswith("#"):
                reason = "CSV has no comments, but this begins with #: delete it"
                raise refusal(path, place, reason if columns else f"{reason}, or only the #")
            if not columns:
                columns = tuple(cell.strip() for cell in cells)
                check_columns(columns, path, place)
            elif len(cells) != len(columns):
                raise refusal(path, place, _miscounted(cells, columns))
            elif len(rows) == MOST_ROWS:
                raise too_many_rows(path)
            else:
                rows[reader.line_num] = cells
    except csv.Error as error:
        raise refusal(path, f"line {reader.line_num}", str(error)) from None
    return columns, rows


def _check_separator(text: str, path: Path) -> None:
    """Refuses a header whose columns are separated by anything but commas."""
    header = text.lstrip("\r\n").partition("\n")[0]
    separator = None if header.startswith("#") else _separator(header)
    if separator is not None:
        raise refusal(
            path,
            "line 1",
            f"columns must be separated by commas, but these are by {separator}: save it with "
            "commas, and with points in decimal fractions",
        )


def _separator(line: str) -> str | None:
    """Finds what separates the cells of a line in place of commas; None if nothing does."""
    if "," in line:
        return None
    return next((name for sign, name in _SEPARATORS.items() if sign in line.strip(" \r")), None)


def _miscounted(cells: Sequence[str], columns: Sequence[str]) -> str:
    separator = _separator(cells[0]) if len(cells) == 1 else None
    if separator is None:
        hint = "a cell with commas needs double quotes"
    else:
        hint = f"cells must be separated by commas, but these seem to be by {separator}"
    return f"there are {len(cells):,} cells, but {len(columns)} columns; {hint}"
