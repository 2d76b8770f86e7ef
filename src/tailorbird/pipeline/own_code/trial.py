"""Networks and costs that code of a user's own is tried with."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.spaces import FloatArray, IntArray, SearchSpace

if TYPE_CHECKING:  # loaded when something is tried, and not by what only reads tables
    from tailorbird.predictors import Predictor

_FEWEST = 20
_DRAWS = 20  # of as many rows as are wanted, after which those found must do


def rows_to_try(space: SearchSpace, n: int = _FEWEST) -> IntArray:
    """Distinct canonical rows, (m, d), reference architectures among them.

    Args:
        space: of the rows.
        n: how many at least, unless the space has fewer.
    """
    n, rng = min(max(n, _FEWEST), space.size), np.random.default_rng(0)
    X = np.unique(space.landmarks, axis=0)
    for _ in range(_DRAWS):
        if len(X) >= n:
            break
        X = np.unique(np.vstack([X, space.sample(n, rng)]), axis=0)
    return X


def made_up_cost(space: SearchSpace, values: Callable[[int], FloatArray]) -> "Predictor":
    """A cost that adds up workloads, or choices where a space leaves its workloads open.

    Args:
        space: of the networks.
        values: gives what each of so many adds.
    """
    from tailorbird.predictors.choices import ChoiceSum
    from tailorbird.predictors.counted_costs import WorkloadSum

    if space.workloads:
        return WorkloadSum(space, values(len(space.workloads)))
    return ChoiceSum(space, values(sum(len(variable.choices) for variable in space.variables)))
