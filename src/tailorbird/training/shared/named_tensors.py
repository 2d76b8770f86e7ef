"""Parameters of modules by name, and the parts of larger tensors that they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from tailorbird.spaces.own_windows import own_window

Window = tuple[slice | Tensor, ...]
"""Index of a part of a tensor: a slice for each axis, or an open mesh of indices of all axes."""


@dataclass(frozen=True, slots=True)
class NamedTensor:
    """A parameter of a module under its first name.

    Attributes:
        name: dotted.
        values: themselves.
        owners: modules and names that have it.
        n_outer: axes of which windows take the first indices; of those behind them, of kernels,
            the middle ones.
        module: that it is a parameter of, which may say other windows.
    """

    name: str
    values: nn.Parameter
    owners: list[tuple[nn.Module, str]]
    n_outer: int
    module: nn.Module

    def window(self, whole: Sequence[int]) -> Window:
        """Its part of a tensor of that shape; empty if it is all of it.

        Raises:
            ContractError: if its module says a window that is none.
        """
        shape = self.values.shape
        own = own_window(self.module, self.name, shape, whole)
        if own is not None and any((np.diff(indices) != 1).any() for indices in own):
            return tuple(torch.from_numpy(indices) for indices in np.ix_(*own))
        if tuple(shape) == tuple(whole):
            return ()
        firsts = self._usual_firsts(whole) if own is None else [int(axis[0]) for axis in own]
        return tuple(slice(first, first + n) for first, n in zip(firsts, shape, strict=True))

    def _usual_firsts(self, whole: Sequence[int]) -> list[int]:
        return [
            (n_whole - n) // 2 if axis >= self.n_outer else 0
            for axis, (n_whole, n) in enumerate(zip(whole, self.values.shape, strict=True))
        ]


def named_tensors(module: nn.Module) -> Iterator[NamedTensor]:
    """Parameters of a module, each once."""
    found: dict[int, NamedTensor] = {}
    for prefix, part in module.named_modules(remove_duplicate=False):
        for leaf, values in part.named_parameters(recurse=False, remove_duplicate=False):
            name = f"{prefix}.{leaf}" if prefix else leaf
            is_kernel = isinstance(part, _ConvNd) and leaf == "weight"
            n_outer = 2 if is_kernel else values.ndim
            known = found.setdefault(id(values), NamedTensor(name, values, [], n_outer, module))
            known.owners.append((part, leaf))
    yield from found.values()
