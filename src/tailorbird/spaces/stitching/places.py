"""Places of stitches: all that there could be between two anchors, or those that were chosen."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from tailorbird.spaces.stitching.family import Family
from tailorbird.spaces.stitching.stitch import Reach, Stitch, anchor_pairs, block

Place = tuple[int, int, int, int]
"""Source, block that is left, target, block that is entered, as a `Stitch` has them."""


@dataclass(frozen=True, slots=True)
class Places:
    """Stitches at chosen places, each with a layer of its own.

    Attributes:
        chosen: of each.
    """

    chosen: tuple[Place, ...]

    def __str__(self) -> str:
        digest = hashlib.sha256(repr(self.chosen).encode()).hexdigest()[:8]
        return f"places={len(self.chosen)}-{digest}"

    def stitches(self, family: Family) -> tuple[Stitch, ...]:
        """All stitches of a family, ordered by pair of anchors."""
        ordered = sorted(self.chosen, key=_pair)
        return tuple(
            Stitch(*place, layer)
            for _, places in groupby(ordered, key=_pair)
            for layer, place in enumerate(places)
        )


@dataclass(frozen=True, slots=True)
class EveryPlace:
    """All stitches from a block of a smaller anchor to a block of a larger one on an equal grid.

    Attributes:
        reach: which anchors are joined.
    """

    reach: Reach = "neighbours"

    def __str__(self) -> str:
        return "every place" if self.reach == "neighbours" else f"every place,pairs={self.reach}"

    def stitches(self, family: Family) -> tuple[Stitch, ...]:
        """All stitches of a family, ordered by pair of anchors."""
        return Places(tuple(self._places(family))).stitches(family)

    def _places(self, family: Family) -> Iterator[Place]:
        depths = [sum(stages) for stages in family.stages]
        for a, b in anchor_pairs(family, self.reach):
            for leave in range(depths[a]):
                grid = _grid(family, a, leave + 1)
                for enter in range(1, depths[b]):
                    if _grid(family, b, enter) == grid:
                        yield a, leave, b, enter


def _pair(place: Place) -> tuple[int, int]:
    return place[0], place[2]


def _grid(family: Family, anchor: int, index: int) -> tuple[int, ...]:
    """Shape before a block, or before the head, but for the channels."""
    (shape,) = family.workload(block(family, anchor, index)).inputs
    return (shape[0], *shape[2:]) if len(shape) == 4 else shape[:-1]
