"""Parameters of modules by name, and the parts of larger tensors that they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.conv import _ConvNd

Window = tuple[slice, ...]
"""Part of a tensor, a slice for each axis."""


@dataclass(frozen=True, slots=True)
class NamedTensor:
    """A parameter of a module under its first name.

    Attributes:
        name: dotted.
        values: themselves.
        owners: modules and names that have it.
        n_outer: axes of which windows take the first indices; of those behind them, of kernels,
            the middle ones.
    """

    name: str
    values: nn.Parameter
    owners: list[tuple[nn.Module, str]]
    n_outer: int

    def window(self, whole: Sequence[int]) -> Window:
        """Its part of a tensor of that shape; empty if it is all of it."""
        shape = self.values.shape
        if tuple(shape) == tuple(whole):
            return ()
        firsts = [
            (n_whole - n) // 2 if axis >= self.n_outer else 0
            for axis, (n_whole, n) in enumerate(zip(whole, shape, strict=True))
        ]
        return tuple(slice(first, first + n) for first, n in zip(firsts, shape, strict=True))


def named_tensors(module: nn.Module) -> Iterator[NamedTensor]:
    """Parameters of a module, each once."""
    found: dict[int, NamedTensor] = {}
    for prefix, part in module.named_modules(remove_duplicate=False):
        for leaf, values in part.named_parameters(recurse=False, remove_duplicate=False):
            name = f"{prefix}.{leaf}" if prefix else leaf
            is_kernel = isinstance(part, _ConvNd) and leaf == "weight"
            n_outer = 2 if is_kernel else values.ndim
            known = found.setdefault(id(values), NamedTensor(name, values, [], n_outer))
            known.owners.append((part, leaf))
    yield from found.values()
