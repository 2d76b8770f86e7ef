"""Initial populations of searches."""

import numpy as np

from tailorbird.search.algorithms.survival import distinct
from tailorbird.search.algorithms.variation import Mutation
from tailorbird.search.problem import Problem
from tailorbird.search.violation import Limits
from tailorbird.spaces import IntArray

_BATCHES = 20
"""Random draws of as many networks as are wanted, until enough meet the constraints. Where fewer
than one in twenty does, steps from the nearest ones find more."""

_STEPS = 100
"""Steps of all nearest networks, one after the other, after which those found must do."""


def feasible_start(problem: Problem, n: int, rng: np.random.Generator) -> IntArray:
    """Distinct reference architectures and random networks that meet all constraints.

    Where limits are so tight that random networks hardly ever meet them, the nearest ones take
    steps towards them.

    Args:
        problem: whose limits must be met.
        n: networks wanted.
        rng: of draws and steps.

    Returns:
        Canonical rows, reference architectures first, (n, d): fewer if so many were not found, and
        if none was found, the n nearest ones.

    References:
        Termritthikun, Jamtsho, Ieamsaard, Muneesawang, Lee: EEEA-Net: An Early Exit Evolutionary
        Neural Architecture Search. Engineering Applications of Artificial Intelligence 104, 2021.
    """
    limits = Limits(problem)
    space = problem.space
    nearest = _Nearest(n, limits, space.landmarks)
    for _ in range(_BATCHES):
        nearest.add(space.sample(n, rng))
        if nearest.n_feasible == n or len(nearest.X) == space.size:
            break
    mutation = Mutation(space)
    for _ in range(_STEPS if len(nearest.X) < space.size else 0):
        if nearest.n_feasible == n:
            break
        nearest.add(mutation(nearest.X, rng))
    return nearest.X[: nearest.n_feasible or n]


class _Nearest:
    """The n distinct rows with the least excess; of equal ones those that came first.

    Attributes:
        X: rows by excess, (at most n, d).
    """

    def __init__(self, n: int, limits: Limits, X: IntArray) -> None:
        self._n, self._limits = n, limits
        self.X = X[:0]
        self._excess = np.empty(0)
        self.add(X)

    def add(self, X: IntArray) -> None:
        new = X[distinct(X, known=self.X)]
        excess = np.append(self._excess, self._limits.excess(new))
        best = np.argsort(excess, kind="stable")[: self._n]
        self.X, self._excess = np.vstack([self.X, new])[best], excess[best]

    @property
    def n_feasible(self) -> int:
        return int(np.count_nonzero(self._excess == 0.0))
