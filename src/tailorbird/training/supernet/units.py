"""Units of networks, such as channels and heads, whose order does not change what is computed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd

import numpy as np
import torch
from torch import Tensor, nn

from tailorbird.errors import ContractError
from tailorbird.spaces import IntArray, Piece, SharedSpace
from tailorbird.spaces.own_windows import own_window
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training.supernet.tied_axes import Axis, TiedAxes, tied_axes

_IMAGES = 2
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


def units_of(space: SharedSpace) -> list[Units]:
    """Units of the largest network that smaller ones have fewer of.

    Which ones there are is tried: modules with random weights must compute the same when units
    change places. Channels are as many units as there are; heads are found as the largest number of
    equal parts along all of their axes.

    Args:
        space: of the networks.

    Raises:
        ContractError: if an axis has no order that could be changed, such as the channels that
            come into a grouped convolution.
    """
    route = space.route(smallest_and_largest(space)[1])
    return [units for ties in tied_axes(space) for units in _tried(space, route, ties)]


def _tried(space: SharedSpace, route: Sequence[Piece], ties: TiedAxes) -> list[Units]:
    trial = _Trial(route, ties)
    of_size: dict[int, list[Axis]] = {}
    for axis in ties.axes:
        of_size.setdefault(axis.size, []).append(axis)
    apart = {size: trial.units(axes) for size, axes in of_size.items()}
    found = [units for units in apart.values() if units is not None]
    if len(found) == len(apart):
        return found
    together = trial.units(ties.axes)
    if together is None:
        axis = next(axis for axis in ties.axes if apart[axis.size] is None)
        raise ContractError(
            "What smaller networks leave out must be the last of what could stand in any order, "
            f"but of {space.name}, axis {axis.axis} of {axis.tensor!r} of {axis.weights}, which "
            f'{ties.variable} changes, cannot be sorted. Take importance = "none".'
        )
    return [together]


class _Trial:
    """Modules with random weights, which run with units in their own order and in others.

    Args:
        route: of the largest network.
        ties: of its tensors; the modules that have them run, and those between.
    """

    def __init__(self, route: Sequence[Piece], ties: TiedAxes) -> None:
        names = [piece.weights for piece in route]
        at = sorted({names.index(axis.weights) for axis in ties.axes})
        self._pieces = {piece.weights: piece for piece in route[at[0] : at[-1] + 1]}
        self._setting = ties.setting
        self._rng = np.random.default_rng(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self._modules = {
                name: piece.workload.build().eval().double() for name, piece in self._pieces.items()
            }
            shape = route[at[0]].workload.inputs[0][1:]
            self._x = torch.randn((_IMAGES, *shape), dtype=torch.float64)
            for parameter in (p for m in self._modules.values() for p in m.parameters()):
                size = float(parameter.detach().abs().mean()) or 1.0
                parameter.data += max(size, _LEAST_SIZE) * torch.randn_like(parameter)
        self._y = self._run()

    def units(self, axes: Sequence[Axis]) -> Units | None:
        """The smallest units along axes whose order may be changed; None if there are none."""
        own = {axis: parts for axis in axes if (parts := self._own_parts(axis)) is not None}
        sizes = {len(parts) for parts in own.values()}
        for n in sizes or _divisors(gcd(*(axis.size for axis in axes))):
            if len(sizes) > 1 or n < 2 or any(axis.size % n for axis in axes):
                return None
            usual = {axis: np.arange(axis.size).reshape(n, -1) for axis in axes}
            units = Units(n, usual | own)
            order = _other_order(n, self._rng)
            self._reorder(units, order)
            y = self._run()
            self._reorder(units, np.argsort(order))
            if float((y - self._y).abs().max()) <= _SAME * float(self._y.abs().max()):
                return units
        return None

    def _own_parts(self, axis: Axis) -> IntArray | None:
        """Indices of each unit (n, k) where a module says its windows; None if it says none.

        Modules with one unit, with two and so on are made for that.
        """
        workload, setting = self._pieces[axis.weights].workload, self._setting
        whole = self._modules[axis.weights].get_parameter(axis.tensor).shape
        shape = [*whole]
        n = dict(workload.params).get(setting or "")
        if own_window(self._modules[axis.weights], axis.tensor, whole, whole) is None:
            return None
        if not isinstance(n, int) or axis.size % n:
            return np.arange(axis.size)[None]
        known, parts = set[int](), []
        for number in range(1, n + 1):
            params = tuple((k, number if k == setting else v) for k, v in workload.params)
            module = replace(workload, params=params, digest="").build()
            shape[axis.axis] = axis.size * number // n
            window = own_window(module, axis.tensor, shape, whole)
            assert window is not None  # or that of the largest had been None
            indices = window[axis.axis].tolist()
            parts.append([index for index in indices if index not in known])
            known.update(indices)
        return np.array(parts)

    def _run(self) -> Tensor:
        x = self._x
        with torch.no_grad():
            for module in self._modules.values():
                x = module(x)
        return x

    def _reorder(self, units: Units, order: IntArray) -> None:
        for axis in units.parts:
            module: nn.Module = self._modules[axis.weights]
            parameter = module.get_parameter(axis.tensor)
            parameter.data = parameter.data.index_select(axis.axis, units.indices(order, axis))


def _divisors(size: int) -> Iterator[int]:
    """Divisors from the largest down to 2."""
    return (n for n in range(size, 1, -1) if size % n == 0)


def _other_order(n: int, rng: np.random.Generator) -> IntArray:
    order = rng.permutation(n)
    return np.roll(order, 1) if np.array_equal(order, np.arange(n)) else order
