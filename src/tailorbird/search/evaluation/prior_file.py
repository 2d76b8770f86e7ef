"""Networks with accuracies in CSV and Parquet."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tailorbird.errors import EncodingError, RecipeError, nearest, plain, shown
from tailorbird.search.evaluation.prior_rows import EarlierRows
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.texts import rows_of
from tailorbird.storage.foreign import bounded_file, csv_sheet, parquet_columns

_ACCURACY, _TEXT = "accuracy", "architecture"
_WHAT = "A file of evaluations"
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DATABASE = b"SQLite format 3\0"


def rows(path: Path, space: SearchSpace) -> EarlierRows:
    """Reads a file with networks of a space, and a column for their accuracies.

    Networks are encoded by a column for each variable, or else described in `architecture`.

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
    names = _columns(table.columns, path, space)
    numbers = tuple(table.rows)
    y = np.array([_accuracy(table, line, table.rows[line][_ACCURACY].strip()) for line in numbers])
    if names == (_TEXT,):
        texts = [table.rows[line][_TEXT].strip() for line in numbers]
        X = _described(texts, space, lambda row, why: table.refusal(numbers[row], why))
        return EarlierRows(X, y, repr(str(path)), table.place, numbers)
    X = np.empty((len(table.rows), len(names)), dtype=np.int64)
    for row, (line, cells) in enumerate(table.rows.items()):
        for column, name in enumerate(names):
            text = cells[name].strip()
            if not _WHOLE.fullmatch(text):
                raise table.refusal(line, f"{name} must be a whole number, but is {shown(text)}")
            X[row, column] = int(text)
    return EarlierRows(X, y, repr(str(path)), table.place, numbers)


def _columns(there: Sequence[str], path: Path, space: SearchSpace) -> tuple[str, ...]:
    """Columns that tell which network a row is of: variables, or the text.

    Raises:
        EncodingError: if there are neither, or there is no accuracy.
    """
    names = tuple(variable.name for variable in space.variables)
    missing = [name for name in names if name not in there]
    is_described = len(missing) == len(names) and _TEXT in there
    if missing and not is_described:
        raise EncodingError(
            f"{str(path)!r} must have a column for each variable of {space.name!r}, or "
            f"{_TEXT!r} with texts, and one for {_ACCURACY!r}, but {missing[0]!r} is missing; "
            f"{nearest(missing[0], there)}"
        )
    if _ACCURACY not in there:
        raise EncodingError(
            f"{str(path)!r} must have a column of accuracies, but {_ACCURACY!r} is missing; "
            f"{nearest(_ACCURACY, there)}"
        )
    return (_TEXT,) if is_described else names


def _described(
    texts: Sequence[str], space: SearchSpace, refusal: Callable[[int, str], RecipeError]
) -> IntArray:
    """Rows (n, d) of a space that texts describe.

    Args:
        texts: of networks.
        space: of the networks.
        refusal: error of a row, by its place and a reason.

    Raises:
        RecipeError: naming the first row whose text describes no network of the space.
    """
    known = rows_of(dict.fromkeys(texts), space)
    for row, text in enumerate(texts):
        if text not in known:
            example = space.describe(space.landmarks[0])
            raise refusal(
                row,
                f"{_TEXT} must describe a network of {space.name}, as {shown(example)} does, but "
                f"is {shown(text)}",
            )
    return np.array([known[text] for text in texts], dtype=np.int64)


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
    names = _columns(parquet_columns.schema(content, path).names, path, space)
    is_described = names == (_TEXT,)
    kind = parquet_columns.TEXT if is_described else parquet_columns.WHOLE
    kinds = {**dict.fromkeys(names, kind), _ACCURACY: parquet_columns.NUMBER}
    table = parquet_columns.read(content, path, kinds)
    y = np.empty(len(table))
    y[:] = _numbers(table[_ACCURACY], pa.float64(), _ACCURACY, path)
    X = np.empty((len(table), len(space.variables)), dtype=np.int64)
    if is_described:
        texts = [str(text).strip() for text in table[_TEXT].to_pylist()]
        X[:] = _described(
            texts, space, lambda row, why: csv_sheet.refusal(path, f"row {row + 1}", why)
        )
    else:
        for column, name in enumerate(names):
            X[:, column] = _numbers(table[name], pa.int64(), name, path)
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
