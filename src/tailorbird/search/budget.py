"""Budget of a search: how many architectures it may evaluate, each once."""

from dataclasses import replace

import numpy as np

from tailorbird.search.archive import Archive
from tailorbird.search.front import ParetoFront
from tailorbird.search.problem import Problem
from tailorbird.spaces import FloatArray, IntArray

_SPARSE = 4  # of spaces this many times larger than what was drawn, few rows are drawn again


class Budget:
    """A number of evaluations, spent on distinct architectures.

    Args:
        problem: that is searched.
        n_evaluations: how many architectures may be evaluated; never more than there are.
        ref_point: for the hypervolume after each of them, (m,); None to leave that out.

    Attributes:
        archive: the best of them.
        history: hypervolume after each of them; empty without `ref_point`.
        left: how many more may be evaluated.
    """

    def __init__(
        self, problem: Problem, n_evaluations: int, ref_point: FloatArray | None = None
    ) -> None:
        if n_evaluations < 1:
            raise ValueError(f"`n_evaluations >= 1` must hold, but got {n_evaluations}.")
        self.problem = problem
        self.ref_point = ref_point
        self.archive = Archive(problem)
        self.history: list[float] = []
        self.left = min(n_evaluations, problem.space.size)
        self._known: dict[bytes, tuple[FloatArray, FloatArray]] = {}

    def new(self, X: IntArray) -> IntArray:
        """Canonical rows of X (n, d) that may be evaluated: each once, unknown, affordable."""
        _, first = np.unique(X, axis=0, return_index=True)
        rows = X[np.sort(first)]
        unknown = [_key(row) not in self._known for row in rows]
        return np.asarray(rows[np.array(unknown, dtype=bool)][: self.left])

    def draw(self, n: int, rng: np.random.Generator) -> IntArray:
        """Draws at most n rows that may be evaluated, uniformly, (n, d)."""
        n, space = min(n, self.left), self.problem.space
        if space.size <= _SPARSE * (len(self._known) + n):
            return self.new(rng.permutation(np.vstack(list(space.enumerate()))))[:n]
        rows = self.new(space.sample(n, rng))
        while len(rows) < n:
            rows = self.new(np.vstack([rows, space.sample(n - len(rows), rng)]))
        return rows

    def known(self, row: IntArray) -> tuple[FloatArray, FloatArray] | None:
        """Minimised values (m,) and violations (k,) of a canonical row, if it was evaluated."""
        return self._known.get(_key(row))

    def evaluate(self, X: IntArray) -> tuple[FloatArray, FloatArray]:
        """Minimised values (n, m) and violations (n, k) of rows that `new` gave, (n, d)."""
        F = self.problem.minimised(X)
        G = self.problem.violation(X, F)
        self._known.update(zip(map(_key, X), zip(F, G, strict=True), strict=True))
        self.left -= len(X)
        if self.ref_point is None:
            self.archive.add(X, F, G)
            return F, G
        for i in range(len(X)):
            self.archive.add(X[i : i + 1], F[i : i + 1], G[i : i + 1])
            self.history.append(self.archive.hypervolume(self.ref_point))
        return F, G

    def front(self, seed: int) -> ParetoFront:
        """The front of all that was evaluated.

        Raises:
            InfeasibleError: if nothing of it meets the constraints.
        """
        return replace(self.archive.front(), seed=seed, history=tuple(self.history))


def _key(row: IntArray) -> bytes:
    return np.ascontiguousarray(row, dtype=np.int64).tobytes()
