"""Networks with accuracies in CSV and Parquet."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tailorbird.errors import EncodingError, nearest, plain, shown
from tailorbird.search.evaluation.prior_rows import EarlierRows
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.storage.foreign import bounded_file, csv_sheet, parquet_columns

_ACCURACY = "accuracy"
_WHAT = "A file of evaluations"
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DATABASE = b"SQLite format 3\0"


def rows(path: Path, space: SearchSpace) -> EarlierRows:
    """Reads a file with a column for each variable of a space and one for the accuracy.

    Args:
        path: of the file; CSV if it ends in `.csv` or `.csv.gz`.
        space: of the networks.

    Raises:
        EncodingError: if columns are missing, or it holds no rows.
        RecipeError: if it cannot be read, naming the first row and column that are wrong.
    """
    is_csv = csv_sheet.ending(path) in (".csv", ".csv.gz")
    earlier = _from_csv(path, space) if is_csv else _from_parquet(path, space)
    if not len(earlier.X):
        raise EncodingError(f"There are no evaluations in {str(path)!r}. Give one in each row.")
    return earlier


def _from_csv(path: Path, space: SearchSpace) -> EarlierRows:
    table = csv_sheet.read(path, what=_WHAT)
    names = [variable.name for variable in space.variables]
    for name in (*names, _ACCURACY):
        if name not in table.columns:
            raise _missing(name, table.columns, path, space)
    X = np.empty((len(table.rows), len(names)), dtype=np.int64)
    y = np.empty(len(table.rows))
    for row, (line, cells) in enumerate(table.rows.items()):
        for column, name in enumerate(names):
            text = cells[name].strip()
            if not _WHOLE.fullmatch(text):
                raise table.refusal(line, f"{name} must be a whole number, but is {shown(text)}")
            X[row, column] = int(text)
        y[row] = _accuracy(table, line, cells[_ACCURACY].strip())
    return EarlierRows(X, y, repr(str(path)), table.place, tuple(table.rows))


def _accuracy(table: csv_sheet.Sheet, line: int, text: str) -> float:
    try:
        if "_" not in text:  # which Python would skip
            return float(text)
    except ValueError:
        pass
    raise table.refusal(line, f"{_ACCURACY} must be a number from 0 to 1, but is {shown(text)}")


def _from_parquet(path: Path, space: SearchSpace) -> EarlierRows:
    content = bounded_file.read(path, what=_WHAT)
    if content.startswith(_DATABASE):
        raise EncodingError(
            f"{str(path)!r} is a database. To read a study of Optuna in it, write "
            f'"sqlite:///{plain(str(path))}#STUDY".'
        )
    if not content.startswith(b"PAR1"):
        raise EncodingError(
            "Evaluations are read from .csv, .csv.gz or Parquet, or as URL#STUDY from a study, but "
            f"{str(path)!r} is none of them. Write it as one."
        )
    names = [variable.name for variable in space.variables]
    there = parquet_columns.schema(content, path).names
    for name in (*names, _ACCURACY):
        if name not in there:
            raise _missing(name, there, path, space)
    kinds = {**dict.fromkeys(names, parquet_columns.WHOLE), _ACCURACY: parquet_columns.NUMBER}
    table = parquet_columns.read(content, path, kinds)
    X = np.empty((len(table), len(names)), dtype=np.int64)
    for column, name in enumerate(names):
        X[:, column] = _numbers(table[name], pa.int64(), name, path)
    y = np.empty(len(table))
    y[:] = _numbers(table[_ACCURACY], pa.float64(), _ACCURACY, path)
    return EarlierRows(X, y, repr(str(path)), "row", range(1, len(table) + 1))


def _numbers(
    column: pa.ChunkedArray, kind: pa.DataType, name: str, path: Path
) -> IntArray | FloatArray:
    if column.null_count:
        row = column.is_null().to_pylist().index(True) + 1
        raise csv_sheet.refusal(path, f"row {row}", f"{name} must be a number, but is missing")
    try:
        return np.asarray(column.cast(kind).to_numpy())
    except pa.ArrowInvalid as error:
        reason = plain(str(error).rstrip("."))
        raise EncodingError(
            f"Column {name!r} of {str(path)!r} must hold numbers of 64 bits ({reason})."
        ) from None


def _missing(name: str, there: Sequence[str], path: Path, space: SearchSpace) -> EncodingError:
    return EncodingError(
        f"{str(path)!r} must have a column for each variable of {space.name!r} and one for "
        f"{_ACCURACY!r}, but {name!r} is missing; {nearest(name, there)}"
    )
