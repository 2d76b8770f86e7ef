"""Stitches: where a route may leave one anchor and enter another."""

from dataclasses import dataclass
from typing import Literal, Protocol

from tailorbird.spaces.stitching.family import Family, Part
from tailorbird.spaces.workload import Workload, module_workload

_MODULES = "tailorbird.spaces.stitching.modules.stitches"

Reach = Literal["neighbours", "all"]
"""Pairs of anchors that are joined: each with the next larger one, or with every larger one."""


@dataclass(frozen=True, slots=True, order=True)
class Stitch:
    """A crossing between two anchors.

    Attributes:
        source: the anchor that is left.
        leave: the last block that runs in it.
        target: the anchor that is entered.
        enter: the first block that runs there.
        layer: number of the stitching layer among those from source to target.
    """

    source: int
    leave: int
    target: int
    enter: int
    layer: int

    @property
    def part(self) -> Part:
        """The stitching layer that a route passes here; several stitches may share one."""
        return Part("stitch", self.source, self.layer, self.target)


class Rule(Protocol):
    """Decides which stitches a family has. Its text is part of a space's name."""

    def stitches(self, family: Family) -> tuple[Stitch, ...]:
        """All stitches of a family, ordered by pair of anchors."""


def anchor_pairs(family: Family, reach: Reach) -> list[tuple[int, int]]:
    """Pairs (smaller, larger) of anchors that are joined."""
    n = len(family.anchors)
    return [(a, b) for a in range(n) for b in range(a + 1, n) if reach == "all" or b == a + 1]


def block(family: Family, anchor: int, index: int) -> Part:
    """Part that a route enters at block `index` of an anchor: behind the last block, the head."""
    depth = sum(family.stages[anchor])
    return Part("block", anchor, index) if index < depth else Part("head", anchor)


def workload_of(family: Family, stitch: Stitch) -> Workload:
    """The workload of a stitching layer: linear on tokens, a 1x1 convolution on maps.

    Raises:
        ValueError: if the two blocks work on different grids.
    """
    (source,) = family.workload(block(family, stitch.source, stitch.leave + 1)).inputs
    (target,) = family.workload(block(family, stitch.target, stitch.enter)).inputs
    channels = 1 if len(source) == 4 else -1
    width, to = source[channels], target[channels]
    adapted = list(source)
    adapted[channels] = to
    if tuple(adapted) != target:
        raise ValueError(
            f"A stitch must join equal grids, but {family.name} has {source} behind block "
            f"{stitch.leave} of {family.anchors[stitch.source]} and {target} before block "
            f"{stitch.enter} of {family.anchors[stitch.target]}."
        )
    op, layer = ("stitch", "MapStitch") if channels == 1 else ("token_stitch", "TokenStitch")
    return module_workload(_MODULES, layer, op, {"width": width, "to": to}, source)
