"""Nesting: which indices of an axis the smaller networks have, from the smallest on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tailorbird.spaces import IntArray, Piece, SharedSpace
from tailorbird.spaces.footprint import built_on_meta
from tailorbird.training.shared.named_tensors import NamedTensor, Window, named_tensors
from tailorbird.training.supernet.tied_axes import Axis


@dataclass(frozen=True, slots=True)
class Nesting:
    """Order of the indices of an axis, in which every network has the first ones of each block.

    An axis has several blocks, one behind the other, where a layer makes several things at once,
    such as queries, keys and values.

    Attributes:
        n_blocks: how many there are, of the same size.
        order: indices within a block, those first that the smallest network has.
    """

    n_blocks: int
    order: tuple[int, ...]

    def parts(self, n: int) -> IntArray:
        """Indices of each of n equal units, of which every block has its part, (n, k)."""
        firsts = np.arange(self.n_blocks) * len(self.order)
        of_block = np.array(self.order).reshape(n, 1, -1)
        parts: IntArray = (firsts[:, None] + of_block).reshape(n, -1)
        return parts


def nestings(size: int, windows: Collection[Collection[int]]) -> list[Nesting]:
    """Nestings that an axis may have, of the most blocks first; none if networks do not nest.

    Args:
        size: of the axis.
        windows: indices along it of each smaller network.
    """
    n_having, fewer = np.zeros(size, np.int64), set[int]()
    for window in sorted(map(set, windows), key=len):
        if not fewer <= window:
            return []
        fewer = window
        n_having[[*window]] += 1
    if (n_having == n_having[0]).all():
        return [Nesting(1, tuple(range(size)))]
    found = []
    for n_blocks in (n for n in range(size, 0, -1) if size % n == 0):
        of_block, *others = n_having.reshape(n_blocks, -1)
        if all(np.array_equal(of_block, other) for other in others):
            order = np.argsort(-of_block, kind="stable")
            found.append(Nesting(n_blocks, tuple(order.tolist())))
    return found


class AxisNestings:
    """Nestings of the axes of the largest network's tensors.

    Args:
        space: whose pieces say what networks have.
        route: of the largest network.
    """

    def __init__(self, space: SharedSpace, route: Sequence[Piece]) -> None:
        self._largest = {piece.weights: piece for piece in route}
        self._pieces = space.pieces
        self._tensors: dict[str, list[Mapping[str, NamedTensor]]] = {}

    def of(self, axis: Axis) -> list[Nesting]:
        """Nestings that an axis may have, as of `nestings`."""
        tensors = [t[axis.tensor] for t in self._of(axis.weights) if axis.tensor in t]
        whole = tuple(np.max([t.values.shape for t in tensors], axis=0).tolist())
        first, *others = (_along(t.window(whole), axis.axis, whole) for t in tensors)
        at = {index: position for position, index in enumerate(first)}
        windows = {tuple(at[index] for index in other if index in at) for other in {*others}}
        return nestings(axis.size, windows)

    def _of(self, weights: str) -> list[Mapping[str, NamedTensor]]:
        """Tensors of every piece that shares weights, that of the largest network first."""
        if weights not in self._tensors:
            largest = self._largest[weights]
            same = [piece for piece in self._pieces if piece.weights == weights]
            self._tensors[weights] = [_named(piece) for piece in (largest, *same)]
        return self._tensors[weights]


def _named(piece: Piece) -> Mapping[str, NamedTensor]:
    return {t.name: t for t in named_tensors(built_on_meta(piece.workload.build))}


def _along(window: Window, axis: int, whole: Sequence[int]) -> range | tuple[int, ...]:
    """Indices of a window along an axis of a tensor."""
    part = window[axis] if window else slice(0, whole[axis])
    return range(part.start, part.stop) if isinstance(part, slice) else tuple(part.ravel().tolist())
