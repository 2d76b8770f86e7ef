"""Mutation of one variable."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from tailorbird.spaces.space import IntArray, SearchSpace


@dataclass(frozen=True, slots=True, eq=False)
class OneVariable:
    """Gives one variable of each row another choice.

    Attributes:
        n_choices: of each variable, (d,).
    """

    n_choices: IntArray

    @classmethod
    def of(cls, space: SearchSpace) -> Self:
        """The mutation of rows of a space."""
        return cls(np.array([len(variable.choices) for variable in space.variables]))

    def __call__(self, X: IntArray, rng: np.random.Generator) -> IntArray:
        """Children of rows (n, d)."""
        several = np.flatnonzero(self.n_choices > 1)
        if not len(several):
            return X
        variable = several[rng.integers(len(several), size=len(X))]
        rows, stepped = np.arange(len(X)), X.copy()
        n = self.n_choices[variable]
        stepped[rows, variable] = (X[rows, variable] + rng.integers(1, n)) % n
        return stepped
