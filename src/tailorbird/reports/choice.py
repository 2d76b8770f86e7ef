"""Choice of one network, from a checked front or by its text."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from tailorbird.errors import (
    EncodingError,
    InfeasibleError,
    MissingStepError,
    RecipeError,
    apart,
    exactly,
)
from tailorbird.reports.answer import chosen_by
from tailorbird.reports.by_text import find
from tailorbird.reports.checked import TAKEN
from tailorbird.reports.measures import best_known_ms, on_device
from tailorbird.spaces import IntArray, SearchSpace, encodings

_NUMBERS = (
    "accuracy_validation",
    "accuracy_predicted",
    "latency_ms_measured",
    "latency_ms_predicted",
)


def fastest_enough(
    front: Path, space: SearchSpace, max_latency_ms: float | None, elsewhere: str | None = None
) -> IntArray:
    """Finds the most accurate network of a checked front, on validation images; gives its row (d,).

    Args:
        front: `front.parquet` of a run.
        space: that the run searched.
        max_latency_ms: the most that it may take; measured, or predicted where it was not.
        elsewhere: further device of the search, where latencies are predicted; that of the run if
            None.

    Raises:
        RecipeError: if the largest latency is not finite and positive.
        MissingStepError: if there is no front, or it is torn.
        InfeasibleError: if none is fast enough.
    """
    if max_latency_ms is not None and not 0 < max_latency_ms < np.inf:
        raise RecipeError(
            f"The largest latency must be finite and positive, but got {max_latency_ms!r}. Leave "
            "it out to take the most accurate network."
        )
    column = None if elsewhere is None else on_device(elsewhere).column
    networks = _read(front, space, [column] if column else [])
    ms = networks[column].to_numpy() if column else best_known_ms(networks)
    networks = networks.assign(chosen_by=chosen_by(networks))
    fast = networks[ms <= max_latency_ms] if max_latency_ms is not None else networks
    if max_latency_ms is not None and fast.empty:
        raise InfeasibleError(
            f"latency <= {exactly(max_latency_ms)} ms must hold, but the fastest network of the "
            f"front takes {apart(ms.min(), max_latency_ms)} ms. Relax the limit."
        )
    best = int(fast["chosen_by"].to_numpy().argmax())
    return row_of(fast.iloc[[best]], space, front)


def named(architecture: str, space: SearchSpace, front: Path) -> IntArray:
    """Finds the canonical row (d,) of a network by its text, in a front before the whole space.

    Args:
        architecture: text of a network.
        space: that it is of.
        front: `front.parquet` of a run, if there is one.

    Raises:
        RecipeError: if there is none, or the space is too large to be searched.
    """
    with suppress(MissingStepError):
        networks = _read(front, space)
        same = networks[networks["architecture"] == architecture]
        if len(same):
            return row_of(same.iloc[[0]], space, front)
    return find(space, architecture)


def row_of(network: pd.DataFrame, space: SearchSpace, front: Path) -> IntArray:
    """Reads the canonical row (d,) of a network in a front, where text and encoding must agree.

    Fronts of earlier versions have texts only, as have those with variables that are named like
    other columns: there the whole space is searched for the text.

    Raises:
        MissingStepError: if they do not agree.
        RecipeError: if the space is searched, and has no such network or too many.
    """
    architecture = str(network["architecture"].iloc[0])
    encoding = encodings.column_names(space, TAKEN)
    if not encoding or not {*encoding} <= {*network.columns}:
        return find(space, architecture)
    try:
        (row,) = space.repair(encodings.of_frame(network, space, front))
    except EncodingError:
        raise _torn(front) from None
    if space.describe(row) != architecture:
        raise _torn(front)
    return np.asarray(row)


def _torn(front: Path) -> MissingStepError:
    return MissingStepError(
        f"The front in {str(front)!r} is torn. Make it anew with `tailorbird report RECIPE`."
    )


def _read(front: Path, space: SearchSpace, further: Sequence[str] = ()) -> pd.DataFrame:
    if not front.is_file():
        raise MissingStepError(
            f"There is no front in {str(front)!r}. Make it with `tailorbird run RECIPE`."
        )
    try:
        there = {*parquet.read_schema(front).names}
        encoding = [name for name in encodings.column_names(space, TAKEN) if name in there]
        numbers = (*_NUMBERS, *further)
        networks = pd.read_parquet(front, columns=["architecture", *numbers, *encoding])
        networks = networks.astype(dict.fromkeys(numbers, np.float64))
    except (OSError, pa.ArrowException, ValueError, TypeError, KeyError):
        networks = pd.DataFrame()
    if networks.empty or networks["latency_ms_predicted"].isna().any():
        raise _torn(front)
    return networks
