"""What was evaluated before, by anyone: networks with their accuracies, from files and studies."""

from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from tailorbird.errors import EncodingError, nearest
from tailorbird.latency_tables.fault import reason
from tailorbird.latency_tables.url import masked
from tailorbird.predictors import FloatArray
from tailorbird.search.storage import existing
from tailorbird.spaces import IntArray, SearchSpace

_ACCURACY = "accuracy"


def read(path: Path, space: SearchSpace) -> tuple[IntArray, FloatArray]:
    """Networks of a CSV or Parquet file with what they were measured to have.

    It has a column for each variable of the space, which holds indices of choices, and a column
    `accuracy`; others are left alone. So are fronts of a search written, but their accuracies are
    predicted: what is read here is taken for measured.

    Args:
        path: of the file; CSV if it ends in `.csv`.
        space: of the networks.

    Returns:
        Canonical rows, each once, (n, d), and accuracies as fractions, (n,). Of several rows of
        one network the first counts.

    Raises:
        EncodingError: if the file cannot be read, or does not fit the space.
    """
    table = _table(path)
    names = [variable.name for variable in space.variables]
    for name in (*names, _ACCURACY):
        if name not in table.columns:
            raise EncodingError(
                f"{str(path)!r} must have a column for each variable of {space.name!r} and one for "
                f"{_ACCURACY!r}, but {name!r} is missing; {nearest(name, map(str, table.columns))}"
            )
    for name in names:
        if not pd.api.types.is_integer_dtype(table[name].dtype) or table[name].isna().any():
            raise EncodingError(
                f"Column {name!r} of {str(path)!r} must hold whole numbers, but its type is "
                f"{table[name].dtype}, with {table[name].isna().sum()} missing."
            )
    if not pd.api.types.is_numeric_dtype(table[_ACCURACY].dtype):
        raise EncodingError(
            f"Column {_ACCURACY!r} of {str(path)!r} must hold numbers, but its type is "
            f"{table[_ACCURACY].dtype}."
        )
    X, y = table[names].to_numpy(np.int64), table[_ACCURACY].to_numpy(np.float64, na_value=np.nan)
    return _canonical(X, y, space, repr(str(path)))


def read_study(url: str, name: str, space: SearchSpace) -> tuple[IntArray, FloatArray]:
    """Networks of another study with the values of their complete trials.

    Args:
        url: of its database, for SQLAlchemy.
        name: of the study.
        space: of the networks.

    Returns:
        As `read` does.

    Raises:
        EncodingError: if there is no such study, or it does not fit the space.
    """
    source = f"the study {name!r} in {masked(url)}"
    try:
        database = sa.make_url(url).database
    except (sa.exc.ArgumentError, ValueError):
        raise EncodingError(f"{masked(url)!r} is no URL of a database.") from None
    if url.startswith("sqlite") and not Path(database or "").is_file():  # it would be made
        raise EncodingError(f"There is no file {database!r} for {source}.")
    try:
        storage = existing(url)
        study = optuna.load_study(storage=storage, study_name=name)
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    except KeyError:
        studies = optuna.get_all_study_names(storage)
        raise EncodingError(f"There is no {source[4:]}; {nearest(name, studies)}") from None
    except (ImportError, StorageInternalError, sa.exc.SQLAlchemyError) as error:
        told = reason(error.__cause__ or error)
        raise EncodingError(f"There is no reading {source} ({told}).") from None
    told = study.user_attrs.get("space", space.name)
    if told != space.name:
        raise EncodingError(f"The space of {source} must be {space.name!r}, but it is {told!r}.")
    evaluated = [trial for trial in trials if "encoding" in trial.user_attrs]
    rows = [trial.user_attrs["encoding"] for trial in evaluated]
    lengths = {len(row) for row in rows}
    if lengths != {len(space.variables)}:
        raise EncodingError(
            f"Complete trials of {source} must have an encoding of {len(space.variables)} numbers "
            f"in their user attributes, but there are {len(rows)}, of lengths {sorted(lengths)}."
        )
    y = np.array([trial.values[0] for trial in evaluated])
    return _canonical(np.array(rows, dtype=np.int64), y, space, source)


def _table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        told = str(error) if path.exists() else "there is no such file"  # pandas says its name only
        reason = (told.splitlines() or [""])[0].rstrip(".")
        raise EncodingError(
            f"The evaluations in {str(path)!r} cannot be read ({reason}). Give CSV or Parquet."
        ) from None
    if table.empty:
        raise EncodingError(f"There are no evaluations in {str(path)!r}. Give one in each row.")
    return table


def _canonical(
    X: IntArray, y: FloatArray, space: SearchSpace, source: str
) -> tuple[IntArray, FloatArray]:
    """Distinct canonical rows with the first accuracy of each, all within what there can be."""
    most = np.array([len(variable.choices) - 1 for variable in space.variables])
    wrong = (X < 0) | (most < X)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise EncodingError(
            f"`0 <= {space.variables[column].name} <= {most[column]}` must hold in {source}, but "
            f"row {row} has {X[row, column]}."
        )
    outside = ~((y >= 0) & (y <= 1))  # NaN is as well
    if outside.any():
        row = np.argmax(outside)
        raise EncodingError(
            f"Accuracies must be fractions from 0 to 1 in {source}, but row {row} has {y[row]:g}. "
            "Divide per cents by 100, and leave out networks without one."
        )
    X = space.repair(X)
    _, first = np.unique(X, axis=0, return_index=True)
    order = np.sort(first)
    return X[order], y[order]
