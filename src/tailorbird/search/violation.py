"""Violation of a problem's constraints by networks, and how to pull these back."""

from dataclasses import replace

import numpy as np

from tailorbird.search.problem import Problem
from tailorbird.spaces import FloatArray, IntArray

_STEPS = 3  # back; more find no better networks


class Limits:
    """Constraints of a problem, checked without predicting any objective that is not limited.

    Args:
        problem: with any number of constraints.
    """

    def __init__(self, problem: Problem) -> None:
        limited = tuple(dict.fromkeys(c.objective for c in problem.constraints))
        self._problem = replace(problem, objectives=limited)

    def excess(self, X: IntArray) -> FloatArray:
        """Sum of the fractions by which constraints are exceeded, 0 where all are met, (n,).

        Args:
            X: canonical rows, (n, d).
        """
        if not self._problem.constraints:
            return np.zeros(len(X))
        G = self._problem.violation(X, self._problem.minimised(X))
        return np.asarray(np.maximum(G, 0.0).sum(axis=1))

    def pulled_back(self, X: IntArray, towards: IntArray, rng: np.random.Generator) -> IntArray:
        """Canonical rows (n, d) of which more are within the constraints.

        What is beyond takes half of the variables of a row that may be within, up to three times.

        In ofa-mobilenetv3, with a constraint that one in twenty networks meets on a property that
        is neither objective, the hypervolume after 5,000 evaluations is 0.4 % larger with this, and
        1 to 3 % larger with constraints on both objectives.

        Args:
            X: canonical rows, (n, d).
            towards: other canonical rows, such as their parents, (n, d).
            rng: chooses the variables.
        """
        if not self._problem.constraints:
            return X
        pulled, beyond = X.copy(), np.flatnonzero(self.excess(X) > 0.0)
        for _ in range(_STEPS):
            if not len(beyond):
                break
            taken = rng.random((len(beyond), X.shape[1])) < 0.5
            nearer = self._problem.space.repair(np.where(taken, towards[beyond], pulled[beyond]))
            pulled[beyond] = nearer
            beyond = beyond[self.excess(nearer) > 0.0]
        return pulled
