"""Architectures in a Parquet file: a column per variable of the space, a row each."""

from pathlib import Path

import numpy as np

from tailorbird.errors import EncodingError, nearest
from tailorbird.spaces.space import IntArray, SearchSpace


def read(path: Path, space: SearchSpace) -> IntArray:
    """The distinct architectures of a file as canonical rows (n, d), in their order there.

    Other columns are left alone, so that the files that searches write can be given.

    Raises:
        EncodingError: if the file cannot be read, or does not fit the space.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        frame = pd.read_parquet(path)
    except (OSError, pa.ArrowException) as error:
        told = str(error) if path.exists() else "there is no such file"  # pandas says its name only
        reason = told.splitlines()[0].rstrip(".")
        raise EncodingError(
            f"The networks in {str(path)!r} cannot be read ({reason}). Give a Parquet file."
        ) from None
    names = [variable.name for variable in space.variables]
    for name in names:
        if name not in frame.columns:
            raise EncodingError(
                f"{str(path)!r} must have a column for each variable of {space.name!r}, "
                f"but {name!r} is missing; {nearest(name, map(str, frame.columns))}"
            )
    if frame.empty:
        raise EncodingError(f"There are no networks in {str(path)!r}. Give one in each row.")
    X = np.empty((len(frame), len(names)), dtype=np.int64)
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
    X = space.repair(X)
    _, first = np.unique(X, axis=0, return_index=True)
    return np.asarray(X[np.sort(first)])
