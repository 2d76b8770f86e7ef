"""The latency predictor that a recipe names."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import RecipeError
from tailorbird.latency_tables import Configuration, Latency, LatencyTable
from tailorbird.pipeline.own_code.trial import made_up_cost, rows_to_try
from tailorbird.pipeline.python_path import resolve, users_code
from tailorbird.registry.latency_predictors import entry_of
from tailorbird.registry.python_paths import is_path, load
from tailorbird.spaces import CALL, SearchSpace

if TYPE_CHECKING:  # loaded when something is predicted, and not by what only reads tables
    from tailorbird.predictors import LatencyInputs, Predictor

_KEY = "[latency] predictor"
_METHODS = ("predict", "mean")
_MADE_UP_MS = 0.01  # of the call; workloads take more

MakeLatency = Callable[["LatencyInputs"], "Predictor"]


def latency_predictor_of(name: str, home: Path) -> MakeLatency:
    """Makes what the recipe names from what was measured.

    Args:
        name: registered, or a Python path.
        home: folder of the recipe.

    Raises:
        RecipeError: if a path names nothing.
    """
    if not is_path(name):
        return partial(_registered, entry_of(name).path)
    make = resolve(name, home, _KEY)
    named = f"{_KEY} = {name!r}"

    def made(inputs: "LatencyInputs") -> "Predictor":
        from tailorbird.pipeline.own_code.predictor import own_predictor

        with users_code(named):
            predictor = make(inputs)
        return own_predictor(predictor, named, _METHODS)

    return made


def _registered(path: str, inputs: "LatencyInputs") -> "Predictor":
    predictor: Predictor = load(path)(inputs)
    return predictor


def try_latency_predictor(
    make: MakeLatency, space: SearchSpace, configuration: Configuration, n_samples: int
) -> None:
    """Makes a predictor from made-up latencies, and has it predict.

    Args:
        make: the user's.
        space: of the recipe.
        configuration: of the table to come.
        n_samples: networks that will be timed whole.

    Raises:
        RecipeError: if it does not do what it must.
    """
    from tailorbird.pipeline.own_code.predictor import refuse_other_means
    from tailorbird.predictors import LatencyInputs

    X = rows_to_try(space, n_samples)
    made_up = partial(np.linspace, 2 * _MADE_UP_MS, 1.0)
    ms = made_up(len(space.workloads))
    entries = {
        w.key: Latency.stated(float(t), 0.0) for w, t in zip(space.workloads, ms, strict=True)
    }
    entries[CALL.key] = Latency.stated(_MADE_UP_MS, 0.0)
    table = LatencyTable("made up", configuration, entries, {})
    y_ms = made_up_cost(space, made_up).mean(X[:n_samples])
    predictor = make(LatencyInputs(space, table, X[:n_samples], y_ms, 0.01 * y_ms))
    means = predictor.mean(X)
    refuse_other_means(means, predictor.predict(X).mean, _KEY)
    if (means <= 0).any():
        raise RecipeError(
            f"Latencies must be positive, but what {_KEY} names predicts {means.min():g} ms from "
            f"workloads of {_MADE_UP_MS} to 1 ms."
        )
