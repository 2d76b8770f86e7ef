"""Rows of unions: whose they are, and what they are there."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np

from tailorbird.spaces.layered import check_width, not_canonical, refuse
from tailorbird.spaces.space import IntArray, SearchSpace


class MemberRows:
    """Rows (member, variables of the first member, variables of the second, …).

    Args:
        name: of the union, for errors.
        members: of the union.
    """

    def __init__(self, name: str, members: Sequence[SearchSpace]) -> None:
        self._name = name
        *firsts, self.width = accumulate((len(m.variables) for m in members), initial=1)
        self._columns = [slice(*ends) for ends in pairwise([*firsts, self.width])]

    def of(self, m: int, X: IntArray) -> IntArray:
        """Rows (n, width) of the rows X of member number m."""
        rows = np.zeros((len(X), self.width), dtype=np.int64)
        rows[:, 0], rows[:, self._columns[m]] = m, X
        return rows

    def parts(self, X: IntArray) -> Iterator[tuple[int, IntArray, IntArray]]:
        """Yields the number of each member that has rows, their places in X, and its own rows.

        Raises:
            ValueError: if a row is of no member.
        """
        check_width(X, self.width)
        outside = (X[:, 0] < 0) | (X[:, 0] >= len(self._columns))
        if outside.any():
            refuse(X, int(np.argmax(outside)))
        for m, columns in enumerate(self._columns):
            at = np.flatnonzero(X[:, 0] == m)
            if len(at):
                yield m, at, X[at, columns]

    def canonical_parts(self, X: IntArray) -> Iterator[tuple[int, IntArray, IntArray]]:
        """Yields the same of rows in which variables of other members are 0.

        Raises:
            ValueError: if a row is none.
        """
        for m, at, rows in self.parts(X):
            idle = (self.of(m, rows) != X[at]).any(axis=1)
            if idle.any():
                refuse(X, int(at[np.argmax(idle)]))
            yield m, at, rows

    def own(self, row: IntArray) -> tuple[int, IntArray]:
        """Number of a canonical row's member, and the row there.

        Raises:
            ValueError: if it is none.
        """
        row = np.asarray(row)
        if len(row) == self.width and 0 <= row[0] < len(self._columns):
            m = int(row[0])
            own = row[self._columns[m]]
            if np.array_equal(self.of(m, own[None])[0], row):
                return m, own
        raise not_canonical(self._name, row)
