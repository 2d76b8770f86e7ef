"""Search of a whole space for the network of a text."""

from collections.abc import Iterator

import numpy as np

from tailorbird.errors import RecipeError, nearest, shown
from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.spaces.texts import MOST_DESCRIBED
from tailorbird.spaces.unions import Union

_HINTED = 10_000  # beyond that, the nearest of all texts would take minutes to find


def find(space: SearchSpace, architecture: str) -> IntArray:
    """Finds the canonical row (d,) of a network by its text, in the whole space.

    In a union it is among the networks of the space whose name its text begins with, however many
    the others have.

    Raises:
        RecipeError: if there is none, or the networks are too many to describe each.
    """
    some: list[str] = []
    for text, row in _described(space, architecture):
        if text == architecture:
            return row
        some.append(text)
        if len(some) > _HINTED:
            some.pop(0)
    hint = nearest(architecture, some) if len(some) < _HINTED else f"one is {some[-1]!r}."
    raise RecipeError(f"There is no network {shown(architecture)} in {space.name}; {hint}")


def _described(space: SearchSpace, architecture: str) -> Iterator[tuple[str, IntArray]]:
    """Yields the texts and rows (d,) of all networks whose text may be this one."""
    if isinstance(space, Union):
        yield from _of_members(space, architecture)
        return
    if space.size > MOST_DESCRIBED:
        raise RecipeError(
            f"Networks are found by their texts in spaces of up to {MOST_DESCRIBED:,}, but "
            f"{space.name} has {space.size:,}. Take one of the checked front, by its text or by "
            "`--max-latency-ms`."
        )
    for X in space.enumerate():
        for row in X:
            yield space.describe(row), np.asarray(row)


def _of_members(space: Union, architecture: str) -> Iterator[tuple[str, IntArray]]:
    beginnings = [f"{label}: " for label in space.labels]
    if not any(map(architecture.startswith, beginnings)):
        known = ", ".join(map(shown, beginnings))
        raise RecipeError(
            f"There is no network {shown(architecture)} in {space.name}; texts of its networks "
            f"begin with {known}."
        )
    for m, (beginning, member) in enumerate(zip(beginnings, space.members, strict=True)):
        if architecture.startswith(beginning):
            for text, row in _described(member, architecture.removeprefix(beginning)):
                yield f"{beginning}{text}", space.rows.of(m, row[None])[0]
