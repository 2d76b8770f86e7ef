"""Outlines of networks: their blocks along the way from input to output, for pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Protocol, runtime_checkable

from tailorbird.spaces.shared import Piece
from tailorbird.spaces.space import IntArray
from tailorbird.spaces.workload import Workload


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a network, or one that the network does without.

    Attributes:
        lane: number of the row of blocks that it is drawn in.
        begin: how far along the network it begins, 0 to 1.
        end: where it ends.
        width: channels behind it.
        workload: that it runs; None if the network does without it.
        label: a few characters that stand in it, such as the size of its kernel.
        to: lane that it leads to, if that is another one: it is a stitching layer then.
    """

    lane: int
    begin: float
    end: float
    width: int
    workload: Workload | None
    label: str = ""
    to: int | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """A network as rows of blocks.

    Attributes:
        lanes: name of each row.
        blocks: in the order in which they run, those that the network does without among them.
    """

    lanes: tuple[str, ...]
    blocks: tuple[Block, ...]


@runtime_checkable
class HasOutline(Protocol):
    """A space that draws its networks."""

    def outline(self, row: IntArray) -> Outline:
        """The network of one canonical row.

        Raises:
            ValueError: if it is not a canonical row of this space.
        """


def width_of(workload: Workload) -> int:
    """Channels of a workload's first input: maps (n, channels, …), or tokens (n, tokens, width)."""
    shape = workload.inputs[0]
    return shape[1] if len(shape) in (2, 4) else shape[-1]


def in_a_row(route: Sequence[Piece], pieces: Sequence[Piece]) -> Outline:
    """Outline of a network without branches.

    Args:
        route: its pieces, in their order.
        pieces: all that networks of its space can have, in the order in which they can run.
    """
    taken = {place: [*of] for place, of in groupby(route, _place)}
    kinds = {_place(piece): piece.kind for piece in pieces}
    places = [place for place, kind in kinds.items() if place in taken or kind == "block"]
    behind = {a: width_of(b.workload) for a, b in pairwise(route)}
    blocks, width = list[Block](), width_of(route[0].workload)
    for column, place in enumerate(places):
        begin, end = column / len(places), (column + 1) / len(places)
        if place not in taken:
            blocks.append(Block(0, begin, end, width, None))
            continue
        parts = _parts(begin, end, len(taken[place]))
        for piece, (first, last) in zip(taken[place], parts, strict=True):
            width = behind.get(piece, width_of(piece.workload))
            blocks.append(Block(0, first, last, width, piece.workload, _kernel(piece.workload)))
    return Outline(("",), tuple(blocks))


def _place(piece: Piece) -> str:
    """Where a piece stands: blocks of several operators can stand in one place."""
    name = piece.weights
    return name.removesuffix(f"-{piece.workload.op}") if piece.kind == "block" else name


def _parts(begin: float, end: float, n: int) -> Iterator[tuple[float, float]]:
    yield from pairwise(begin + (end - begin) * i / n for i in range(n + 1))


def _kernel(workload: Workload) -> str:
    """Size of its kernel, if it has one."""
    sizes = (value for name, value in workload.params if name.startswith("kernel"))
    return str(next(sizes, ""))
