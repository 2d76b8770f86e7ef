"""Members of a space, whether it is a union or stands for itself."""

import numpy as np

from tailorbird.spaces.space import IntArray, SearchSpace
from tailorbird.spaces.unions.laws import label_of
from tailorbird.spaces.unions.union import Union


def members_of(space: SearchSpace) -> tuple[SearchSpace, ...]:
    """The spaces that a union is made of; a space alone if it is none."""
    return space.members if isinstance(space, Union) else (space,)


def leaves_of(space: SearchSpace) -> tuple[SearchSpace, ...]:
    """The spaces, none of them a union, that a union is made of; a space alone if it is none."""
    if not isinstance(space, Union):
        return (space,)
    return tuple(leaf for member in space.members for leaf in leaves_of(member))


def labels_of(X: IntArray, space: SearchSpace) -> list[str]:
    """Name, before settings, of the space that each canonical row (n, d) is of."""
    if isinstance(space, Union):
        return [space.labels[m] for m in X[:, 0]]
    return [label_of(space)] * len(X)


def member_row(space: SearchSpace, row: IntArray) -> tuple[SearchSpace, IntArray]:
    """The space of a union that a canonical row (d,) is of, and its row there; both if it is none.

    Raises:
        ValueError: if it is not canonical.
    """
    if not isinstance(space, Union):
        return space, row
    m, own = space.rows.own(row)
    return member_row(space.members[m], own)


def landmarks_beside(row: IntArray, space: SearchSpace) -> IntArray:
    """Reference architectures of the space of a union that a canonical row (d,) is of, (k, d).

    They are rows of the union, or all that there are if it is none.
    """
    own, _ = member_row(space, row)
    return np.array([mark for mark in space.landmarks if member_row(space, mark)[0] is own])
