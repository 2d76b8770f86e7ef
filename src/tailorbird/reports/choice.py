"""Which network of a report to take."""

from pathlib import Path

import numpy as np
import pandas as pd

from tailorbird.errors import InfeasibleError, MissingStepError, RecipeError, nearest
from tailorbird.spaces import IntArray, SearchSpace

_HINTED = 10_000  # beyond that, the nearest of all texts would take minutes to find


def fastest_enough(front: Path, max_latency_ms: float | None) -> str:
    """The text of the most accurate network of a checked front, on validation images.

    Args:
        front: `front.parquet` of a run.
        max_latency_ms: the most that it may take; measured, or predicted where it was not.

    Raises:
        MissingStepError: if there is no front.
        InfeasibleError: if none is fast enough.
    """
    try:
        networks = pd.read_parquet(front)
    except OSError:
        raise MissingStepError(
            f"There is no front in {str(front)!r}. Make it with `tailorbird run RECIPE`."
        ) from None
    ms = networks["latency_ms_measured"].fillna(networks["latency_ms_predicted"])
    fast = networks[ms <= max_latency_ms] if max_latency_ms is not None else networks
    if fast.empty:
        raise InfeasibleError(
            f"latency <= {max_latency_ms:g} ms must hold, but the fastest network of the front "
            f"takes {ms.min():.4g} ms. Relax the limit."
        )
    best = int(fast["accuracy_validation"].fillna(-1.0).to_numpy().argmax())  # not known: last
    return str(fast["architecture"].iloc[best])


def find(space: SearchSpace, architecture: str) -> IntArray:
    """The canonical row that is described so.

    Raises:
        RecipeError: if there is none.
    """
    some: list[str] = []
    for X in space.enumerate():
        for row in X:
            text = space.describe(row)
            if text == architecture:
                return np.asarray(row)
            some.append(text)
            if len(some) > _HINTED:
                some.pop(0)
    hint = nearest(architecture, some) if len(some) < _HINTED else f"one is {some[-1]!r}."
    raise RecipeError(f"There is no network {architecture!r} in {space.name}; {hint}")
