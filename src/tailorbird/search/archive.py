"""Archive of the best networks that a search has evaluated."""

import moocore
import numpy as np

from tailorbird.search.front import ParetoFront, nearest_miss
from tailorbird.search.problem import Problem
from tailorbird.spaces import FloatArray, IntArray


class Archive:
    """Keeps feasible rows that no other one dominates, and the nearest miss until there is any.

    Args:
        problem: that is searched.

    Attributes:
        X: encodings, (n, d).
        F: their minimised objectives, (n, m).
        n_evaluations: rows that were added.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.X: IntArray = np.empty((0, len(problem.space.variables)), dtype=np.int64)
        self.F: FloatArray = np.empty((0, len(problem.objectives)))
        self.n_evaluations = 0
        self._miss = (self.X, np.empty((0, len(problem.constraints))))

    def add(self, X: IntArray, F: FloatArray, G: FloatArray) -> None:
        """Takes in canonical rows (n, d), their minimised values (n, m) and violations (n, k)."""
        self.n_evaluations += len(X)
        feasible = (G <= 0).all(axis=1)
        if not len(self.X) and not feasible.any() and len(X):
            X_miss, G_miss = np.vstack([self._miss[0], X]), np.vstack([self._miss[1], G])
            nearest = [np.maximum(G_miss, 0.0).sum(axis=1).argmin()]
            self._miss = X_miss[nearest], G_miss[nearest]
        if feasible.any():
            together = np.vstack([self.F, F[feasible]])
            keep = moocore.is_nondominated(together)
            old, new = np.split(keep, [len(self.F)])
            fresh = np.flatnonzero(feasible)[new]  # few, so that not all of X is copied
            self.X, self.F = np.vstack([self.X[old], X[fresh]]), together[keep]

    def hypervolume(self, ref_point: FloatArray) -> float:
        """Hypervolume of the archive, up to a point (m,); 0 while it is empty."""
        return float(moocore.hypervolume(self.F, ref=ref_point)) if len(self.F) else 0.0

    def front(self) -> ParetoFront:
        """The front of all that was added.

        Raises:
            InfeasibleError: if nothing of it meets the constraints.
        """
        if not len(self.X):
            raise nearest_miss(self.problem, *self._miss)
        return ParetoFront.of(self.X, self.problem, n_evaluations=self.n_evaluations)
