"""Axes of shared tensors whose indices belong together, such as the channels inside a block."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tailorbird.spaces import IntArray, Piece, SharedSpace
from tailorbird.spaces.footprint import built_on_meta
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training.shared.named_tensors import NamedTensor, named_tensors


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a tensor that networks share.

    Attributes:
        weights: name of the weights of a piece.
        tensor: name there, dotted.
        axis: number of it.
        size: of the part that the largest network has.
    """

    weights: str
    tensor: str
    axis: int
    size: int


@dataclass(frozen=True, slots=True)
class TiedAxes:
    """Axes along which one choice decides how much of the tensors a network has.

    Attributes:
        variable: name of what is chosen.
        axes: in the order of the route and of the tensors there.
        guessed: those of them that no network has fewer of; only their sizes are the same.
    """

    variable: str
    axes: tuple[Axis, ...]
    guessed: frozenset[Axis] = frozenset()


def tied_axes(space: SharedSpace) -> list[TiedAxes]:
    """Axes that get smaller with one choice, each with the choice that changes the fewest.

    They are found by comparing the shapes in the largest network with those in networks that differ
    from it in one choice; nothing is known of modules. Tensors that a smaller network has no use
    for, such as those of a shortcut, may go with the others of their piece where their sizes are
    the same; these are guesses, and may be with several choices. A choice that takes modules away,
    and the sizes of kernels, tie nothing.

    Args:
        space: of the networks.
    """
    largest = smallest_and_largest(space)[1]
    route = space.route(largest)
    whole = _tensors(route)
    found = []
    for number, variable in enumerate(space.variables):
        smaller, alike = set[Axis](), set[Axis]()
        for other in _others(space, largest, number):
            if [p.weights for p in other] == [p.weights for p in route]:
                tensors = _tensors(other)
                some = {*_smaller(whole, tensors)}
                smaller |= some
                alike |= {*_alike(whole, tensors, some)}
        if smaller:
            order = [axis for axis in _all_axes(whole) if axis in smaller | alike]
            found.append(TiedAxes(variable.name, tuple(order), frozenset(alike - smaller)))
    found.sort(key=lambda ties: len(ties.axes))
    claimed: set[Axis] = set()
    apart = []
    for ties in found:
        left = tuple(axis for axis in ties.axes if axis not in claimed)
        guessed = ties.guessed.intersection(left)
        claimed.update(axis for axis in left if axis not in guessed)
        if left:
            apart.append(replace(ties, axes=left, guessed=guessed))
    return apart


_Tensors = Mapping[str, Mapping[str, NamedTensor]]
"""Tensors by the name of their piece's weights and their own."""


def _tensors(route: Sequence[Piece]) -> _Tensors:
    return {
        piece.weights: {t.name: t for t in named_tensors(built_on_meta(piece.workload.build))}
        for piece in route
    }


def _others(space: SharedSpace, row: IntArray, number: int) -> Iterator[tuple[Piece, ...]]:
    """Routes of the networks that differ from one in the choice of a variable."""
    for choice in range(len(space.variables[number].choices)):
        other = row.copy()
        other[number] = choice
        repaired = space.repair(other[None])[0]
        if choice != row[number] and repaired[number] == choice:
            yield space.route(repaired)


def _all_axes(whole: _Tensors) -> Iterator[Axis]:
    for weights, tensors in whole.items():
        for name, tensor in tensors.items():
            for axis, size in enumerate(tensor.values.shape[: tensor.n_outer]):
                yield Axis(weights, name, axis, size)


def _smaller(whole: _Tensors, other: _Tensors) -> Iterator[Axis]:
    """Axes of the larger tensors that are smaller in another network."""
    for axis in _all_axes(whole):
        tensor = other[axis.weights].get(axis.tensor)
        if tensor is not None and tensor.values.shape[axis.axis] < axis.size:
            yield axis


def _alike(whole: _Tensors, other: _Tensors, smaller: Collection[Axis]) -> Iterator[Axis]:
    """Axes of tensors that another network lacks, as large as smaller ones of their piece."""
    sizes = {(axis.weights, axis.size) for axis in smaller}
    for axis in _all_axes(whole):
        if axis.tensor not in other[axis.weights] and (axis.weights, axis.size) in sizes:
            yield axis
