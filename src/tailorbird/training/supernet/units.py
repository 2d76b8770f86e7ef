"""Units of networks, such as channels and heads, whose order does not change what is computed."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import gcd

import numpy as np
import torch
from torch import Tensor, nn

from tailorbird.spaces import IntArray, Piece
from tailorbird.spaces.module import said_of
from tailorbird.training.supernet.nesting import Nesting
from tailorbird.training.supernet.tied_axes import Axis

_IMAGES = 2
_MOST_NESTINGS = 64  # of all axes together that are tried
_SAME = 1e-6  # of the largest output, in float64
_LEAST_SIZE = 1e-2
"""Least that weights are varied by: scales of 1e-6, as of LayerScale, would hide a branch."""


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What the largest network has several of along some axes, equal among each other.

    Attributes:
        n: how many there are.
        parts: indices of each along each axis, (n, k).
    """

    n: int
    parts: Mapping[Axis, IntArray]

    def indices(self, order: IntArray, axis: Axis) -> Tensor:
        """Indices (size,) along one of the axes that put the units into another order (n,)."""
        parts, indices = self.parts[axis], np.arange(axis.size)
        indices[parts.ravel()] = parts[order].ravel()
        return torch.from_numpy(indices)


class UnitsTrial:
    """Modules with random weights, which run with units in their own order and in others.

    Args:
        route: of the largest network.
        nestings: of axes of its tensors; the modules that have them run, and those between.
    """

    def __init__(self, route: Sequence[Piece], nestings: Mapping[Axis, Sequence[Nesting]]) -> None:
        names = [piece.weights for piece in route]
        at = sorted({names.index(axis.weights) for axis in nestings})
        self._nestings = nestings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self._modules = {
                piece.weights: piece.workload.build().eval().double()
                for piece in route[at[0] : at[-1] + 1]
            }
            shape = route[at[0]].workload.inputs[0][1:]
            self._x = torch.randn((_IMAGES, *shape), dtype=torch.float64)
            for parameter in (p for m in self._modules.values() for p in m.parameters()):
                size = float(parameter.detach().abs().mean()) or 1.0
                parameter.data += max(size, _LEAST_SIZE) * torch.randn_like(parameter)
        self._y = self._run()

    def units(self, axes: Sequence[Axis], guessed: Collection[Axis]) -> list[Units] | None:
        """The smallest units along axes whose order may be changed, at most one; None if not all.

        Axes that only may go with the others are left out where that helps.
        """
        for left_out in _left_out([axis for axis in axes if axis in guessed]):
            kept = [axis for axis in axes if axis not in left_out]
            units = self._units(kept)
            if units is not None or not kept:
                return [units] if units is not None else []
        return None

    def _units(self, axes: Sequence[Axis]) -> Units | None:
        for n, nestings in _layouts([self._nestings[axis] for axis in axes]):
            of_axis = zip(axes, nestings, strict=True)
            units = Units(n, {axis: nesting.parts(n) for axis, nesting in of_axis})
            if all(self._is_same(units, order) for order in _orders(n)):
                return units
        return None

    def _is_same(self, units: Units, order: IntArray) -> bool:
        self._reorder(units, order)
        y = self._run()
        self._reorder(units, np.argsort(order))
        return float((y - self._y).abs().max()) <= _SAME * float(self._y.abs().max())

    def _run(self) -> Tensor:
        x = self._x
        for weights, module in self._modules.items():
            law = f"Modules must run in float64 for their units to be found, but {weights} does not"
            with torch.no_grad(), said_of(law, ' Take importance = "none".'):
                x = module(x)
        return x

    def _reorder(self, units: Units, order: IntArray) -> None:
        for axis in units.parts:
            module: nn.Module = self._modules[axis.weights]
            parameter = module.get_parameter(axis.tensor)
            parameter.data = parameter.data.index_select(axis.axis, units.indices(order, axis))


def _left_out(guessed: Sequence[Axis]) -> Iterator[Sequence[Axis]]:
    """None of the axes, each alone, and all of them."""
    yield ()
    yield from ([axis] for axis in guessed)
    if len(guessed) > 1:
        yield guessed


def _layouts(nestings: Sequence[Sequence[Nesting]]) -> Iterator[tuple[int, list[Nesting]]]:
    """Numbers of units, the most first, and the nesting of each axis; equal axes nest equally."""
    kinds = [*dict.fromkeys(map(tuple, nestings))]
    found = list[tuple[int, tuple[Nesting, ...]]]()
    for chosen in islice(product(*kinds), _MOST_NESTINGS):
        most = gcd(*(len(nesting.order) for nesting in chosen))
        found += [(n, chosen) for n in range(2, most + 1) if most % n == 0]
    for n, chosen in sorted(found, key=lambda layout: -layout[0]):
        of_kind = dict(zip(kinds, chosen, strict=True))
        yield n, [of_kind[tuple(kind)] for kind in nestings]


def _orders(n: int) -> Iterator[IntArray]:
    """Orders of which every other one is made."""
    yield np.roll(np.arange(n), 1)
    yield np.array([1, 0, *range(2, n)])
