"""CSV files that others wrote, perhaps compressed."""

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tailorbird.errors import RecipeError

Row = Mapping[str, str]
"""Cells of a line, by column."""


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A header, and rows with as many cells.

    Attributes:
        path: of the file.
        columns: of the header.
        rows: by number of their line; the header's is 1.
        file_sha256: of the file.
        text_sha256: of its text, which compression does not change.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Mapping[int, Row]
    file_sha256: str
    text_sha256: str

    def refusal(self, line: int, reason: str) -> RecipeError:
        """Says what is wrong in a line."""
        return _refusal(self.path, line, reason)


def content(path: Path) -> bytes:
    """A file as it is.

    Raises:
        RecipeError: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecipeError(f"The file {str(path)!r} cannot be read: {error.strerror}.") from None


def read(path: Path) -> Sheet:
    """A file whose name ends in .csv or .csv.gz.

    Raises:
        RecipeError: if it is torn, no text, or a line has not as many cells as the header.
    """
    packed = content(path)
    try:
        plain = gzip.decompress(packed) if path.suffix.lower() == ".gz" else packed
        text = plain.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise RecipeError(
            f"The file {str(path)!r} is torn, or not compressed by gzip ({error})."
        ) from None
    except UnicodeDecodeError:
        raise RecipeError(f"The file {str(path)!r} is not text in UTF-8.") from None
    columns, rows = _parsed(text, path)
    digests = (hashlib.sha256(some).hexdigest() for some in (packed, plain))
    return Sheet(path, columns, rows, *digests)


def _parsed(text: str, path: Path) -> tuple[tuple[str, ...], dict[int, Row]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: tuple[str, ...] = ()
    rows: dict[int, Row] = {}
    try:
        for cells in reader:
            if not columns:
                columns = tuple(cell.strip() for cell in cells)
            elif cells and len(cells) != len(columns):
                raise _refusal(
                    path,
                    reader.line_num,
                    f"there are {len(cells)} cells, but {len(columns)} columns; a key with commas "
                    "needs double quotes",
                )
            elif cells:
                rows[reader.line_num] = dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise _refusal(path, reader.line_num, str(error)) from None
    return columns, rows


def _refusal(path: Path, line: int, reason: str) -> RecipeError:
    return RecipeError(f"The file {str(path)!r} cannot be imported: line {line}: {reason}.")
