"""The best of what a search has seen."""

import moocore
import numpy as np

from tailorbird.predictors import FloatArray
from tailorbird.search.front import ParetoFront, nearest_miss
from tailorbird.search.problem import Problem
from tailorbird.spaces import IntArray


class Archive:
    """Keeps feasible rows that no other one dominates, and the nearest miss until there is any.

    Args:
        problem: that is searched.

    Attributes:
        X: encodings, (n, d).
        F: their minimised objectives, (n, m).
        n_evaluations: rows that were seen.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.X: IntArray = np.empty((0, len(problem.space.variables)), dtype=np.int64)
        self.F: FloatArray = np.empty((0, len(problem.objectives)))
        self.n_evaluations = 0
        self._miss: IntArray | None = None
        self._excess = np.inf

    def add(self, X: IntArray, F: FloatArray, G: FloatArray) -> None:
        """Takes in canonical rows (n, d), their minimised values (n, m) and violations (n, k)."""
        self.n_evaluations += len(X)
        excess = np.maximum(G, 0.0).sum(axis=1)
        if not len(self.X) and len(X) and excess.min() < self._excess:
            self._excess, self._miss = float(excess.min()), X[excess.argmin()]
        feasible = excess == 0.0
        X, F = np.vstack([self.X, X[feasible]]), np.vstack([self.F, F[feasible]])
        keep = moocore.is_nondominated(F) if len(F) else slice(None)
        self.X, self.F = X[keep], F[keep]

    def hypervolume(self, ref_point: FloatArray) -> float:
        """Of what was seen so far, up to a point (m,)."""
        return float(moocore.hypervolume(self.F, ref=ref_point)) if len(self.F) else 0.0

    def front(self) -> ParetoFront:
        """What was found.

        Raises:
            InfeasibleError: if nothing that was seen meets the limits.
        """
        if not len(self.X):
            assert self._miss is not None  # a search sees something
            raise nearest_miss(self.problem, self._miss)
        return ParetoFront.of(self.X, self.problem, n_evaluations=self.n_evaluations)
