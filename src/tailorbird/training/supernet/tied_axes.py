"""Axes of shared tensors whose indices belong together, such as the channels inside a block."""

from collections.abc import Iterator, Mapping, Sequence
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
    """

    variable: str
    axes: tuple[Axis, ...]


def tied_axes(space: SharedSpace) -> list[TiedAxes]:
    """Axes that get smaller with one choice, each with the choice that changes the fewest.

    They are found by comparing the shapes in the largest network with those in networks that differ
    from it in one choice; nothing is known of modules. Tensors that a smaller network has no use
    for, such as those of a shortcut, go with the others of their piece where their sizes are the
    same. A choice that takes modules away, and the sizes of kernels, tie nothing.

    Args:
        space: of the networks.
    """
    largest = smallest_and_largest(space)[1]
    route = space.route(largest)
    whole = _tensors(route)
    found = []
    for number, variable in enumerate(space.variables):
        axes: dict[Axis, None] = {}
        for other in _others(space, largest, number):
            if [p.weights for p in other] == [p.weights for p in route]:
                axes |= dict.fromkeys(_smaller(whole, _tensors(other)))
        if axes:
            order = {axis: None for axis in _all_axes(whole) if axis in axes}
            found.append(TiedAxes(variable.name, tuple(order)))
    found.sort(key=lambda ties: len(ties.axes))
    claimed: set[Axis] = set()
    apart = []
    for ties in found:
        left = tuple(axis for axis in ties.axes if axis not in claimed)
        claimed.update(left)
        if left:
            apart.append(replace(ties, axes=left))
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
    """Axes of the larger tensors that are smaller in another network, or go with those."""
    axes = [*_all_axes(whole)]
    sizes: dict[str, set[int]] = {}
    for axis in axes:
        tensor = other[axis.weights].get(axis.tensor)
        if tensor is not None and tensor.values.shape[axis.axis] < axis.size:
            sizes.setdefault(axis.weights, set()).add(axis.size)
            yield axis
    for axis in axes:
        if axis.tensor not in other[axis.weights] and axis.size in sizes.get(axis.weights, ()):
            yield axis
