"""Encodings as columns of tables and of Parquet files, one per variable of a space."""

import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import EncodingError, nearest, plain
from tailorbird.spaces.space import IntArray, SearchSpace
from tailorbird.storage.foreign import bounded_file, bounded_parquet

if TYPE_CHECKING:
    import pandas as pd


def read(path: Path, space: SearchSpace) -> IntArray:
    """Reads the distinct architectures of a Parquet file as canonical rows (n, d), in its order.

    Other columns are left alone, so that the files that searches write can be given.

    Raises:
        EncodingError: if the file cannot be read, or does not fit the space.
    """
    names = [variable.name for variable in space.variables]
    frame = _columns(path, names)
    for name in names:
        if name not in frame.columns:
            raise EncodingError(
                f"{str(path)!r} must have a column for each variable of {space.name!r}, "
                f"but {name!r} is missing; {nearest(name, map(str, frame.columns))}"
            )
    if frame.empty:
        raise EncodingError(f"There are no networks in {str(path)!r}. Give one in each row.")
    X = of_frame(frame, space, path)
    X = space.repair(X)
    _, first = np.unique(X, axis=0, return_index=True)
    return np.asarray(X[np.sort(first)])


def of_frame(frame: "pd.DataFrame", space: SearchSpace, path: Path) -> IntArray:
    """Encodings (n, d) in a table that has a column for each variable of a space.

    Args:
        frame: the table.
        space: of the networks.
        path: that the table was read from, for errors.

    Raises:
        EncodingError: if a value is no index of a choice.
    """
    import pandas as pd

    X = np.empty((len(frame), len(space.variables)), dtype=np.int64)
    for column, variable in enumerate(space.variables):
        values = frame[variable.name]
        if not pd.api.types.is_integer_dtype(values.dtype) or values.isna().any():
            raise EncodingError(
                f"Column {variable.name!r} of {str(path)!r} must hold whole numbers, "
                f"but its type is {values.dtype}, with {values.isna().sum()} missing."
            )
        most = len(variable.choices) - 1
        outside = values[(values < 0) | (values > most)]
        if len(outside):
            raise EncodingError(
                f"`0 <= {variable.name} <= {most}` must hold in {str(path)!r}, "
                f"but row {list(values).index(outside.iloc[0])} has {outside.iloc[0]}."
            )
        X[:, column] = values
    return X


def columns(X: IntArray, space: SearchSpace, others: Collection[str]) -> dict[str, IntArray]:
    """Encodings (n, d) as columns of a table, by the names of variables.

    Args:
        X: encodings.
        space: that they are of.
        others: names of columns that the table has already; where a variable has one of them, the
            encoding is left out.
    """
    names = column_names(space, others)
    return {name: X[:, i] for i, name in enumerate(names)}


def column_names(space: SearchSpace, others: Collection[str]) -> tuple[str, ...]:
    """Names of the columns of an encoding in a table that has others; none if they clash."""
    names = tuple(variable.name for variable in space.variables)
    return () if {*names} & {*others} else names


def _columns(path: Path, names: Sequence[str]) -> "pd.DataFrame":
    """Those columns of a file; all of them, without a row, if one is missing."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        content = bounded_file.content(path)
        schema = parquet.read_schema(io.BytesIO(content))
        table = schema.empty_table()
        if set(names) <= set(schema.names):
            table = bounded_parquet.read(content, bounded_file.LARGEST_BYTES, names)
        frame: pd.DataFrame = table.to_pandas()
    except (IsADirectoryError, bounded_file.NotPlainError):
        raise _unreadable(path, "it is no plain file") from None
    except bounded_file.OversizeError:
        most = bounded_file.LARGEST_BYTES / 2**20
        raise _unreadable(path, f"it has more than {most:g} MiB") from None
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0].rstrip(".")
        raise _unreadable(path, plain(reason)) from None
    return frame


def _unreadable(path: Path, reason: str) -> EncodingError:
    return EncodingError(
        f"The networks in {str(path)!r} cannot be read ({reason}). Give a Parquet file."
    )
