"""Mutation of the networks of unions."""

from collections.abc import Sequence

import numpy as np

from tailorbird.spaces.one_variable import OneVariable
from tailorbird.spaces.space import HasMutation, IntArray, SearchSpace, Step
from tailorbird.spaces.unions.rows import MemberRows

_LEAVES = 0.05  # fraction of rows; no step of one member leads near a network of another


class MemberMoves:
    """Moves each row by a step of its member, and a few to a random network of another member.

    Another choice for one variable would mostly be one without effect: variables of other members
    have none.

    Args:
        members: of the union.
        rows: of the union.
    """

    def __init__(self, members: Sequence[SearchSpace], rows: MemberRows) -> None:
        self._members, self._rows = members, rows
        self._steps = tuple(map(_step, members))

    def __call__(self, X: IntArray, rng: np.random.Generator) -> IntArray:
        """Rows (n, d), each one step from a canonical one of X (n, d)."""
        moved = X.copy()
        for m, at, rows in self._rows.parts(X):
            moved[at] = self._rows.of(m, self._steps[m](rows, rng))
        leaves, n_members = np.flatnonzero(rng.random(len(X)) < _LEAVES), len(self._members)
        others = (X[leaves, 0] + rng.integers(1, n_members, size=len(leaves))) % n_members
        for m, member in enumerate(self._members):
            at = leaves[others == m]
            if len(at):  # spaces of users need not know what no networks are
                moved[at] = self._rows.of(m, member.sample(len(at), rng))
        return moved


def _step(space: SearchSpace) -> Step:
    own = space.mutation() if isinstance(space, HasMutation) else None
    return OneVariable.of(space) if own is None else own
