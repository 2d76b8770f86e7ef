"""Outlines of stitched networks: a row of blocks for each anchor, and what leads across."""

from collections.abc import Collection, Iterator, Sequence

from tailorbird.spaces.outline import Block, Outline, width_of
from tailorbird.spaces.stitching.family import Family, Part, parts_of
from tailorbird.spaces.stitching.stitch import Stitch, workload_of


def outline_of(family: Family, taken: Collection[Part], crossed: Sequence[Stitch]) -> Outline:
    """The blocks of all anchors, each anchor as long as the others.

    Args:
        family: of the anchors.
        taken: parts that the network has.
        crossed: stitches that it crosses.
    """
    blocks = [
        block for anchor in range(len(family.anchors)) for block in _blocks(family, anchor, taken)
    ]
    blocks += [_stitch(family, stitch) for stitch in crossed]
    return Outline(family.anchors, tuple(blocks))


def _blocks(family: Family, anchor: int, taken: Collection[Part]) -> Iterator[Block]:
    parts = parts_of(family, anchor)
    n = len(parts)
    for place, part in enumerate(parts):
        workload = family.workload(part)
        behind = family.workload(parts[place + 1]) if place + 1 < n else workload
        runs = workload if part in taken else None
        yield Block(anchor, place / n, (place + 1) / n, width_of(behind), runs)


def _stitch(family: Family, stitch: Stitch) -> Block:
    """Block that leads from the end of the one that is left to the beginning of the next one."""
    source, target = (parts_of(family, anchor) for anchor in (stitch.source, stitch.target))
    entered = 1 + stitch.enter
    return Block(
        stitch.source,
        (2 + stitch.leave) / len(source),
        entered / len(target),
        width_of(family.workload(target[entered])),
        workload_of(family, stitch),
        to=stitch.target,
    )
