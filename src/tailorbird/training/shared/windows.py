"""Windows: modules of several sizes whose weights are parts of the same tensors."""

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from tailorbird.errors import ContractError

Window = tuple[slice, ...]
"""Part of a tensor, a slice for each axis."""


class SharedTensors(nn.Module):
    """Tensors under the names that they have in modules, each as large as the largest there.

    They start with what the modules were drawn with, larger ones over smaller ones. Buffers are not
    shared, since they may be of anything, but kept here with the tensors: those of module `k` under
    `own-k`. Those of batch norms are not kept: each network has statistics of its own.

    Args:
        modules: with fresh weights; they are emptied: each has windows in their place.

    Raises:
        ContractError: if tensors of one name have different numbers of axes, or a name is of a
            tensor in one module, and of a module with tensors in another.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        drawn = [[*_named_tensors(module)] for module in modules]
        shapes: dict[str, tuple[int, ...]] = {}
        for tensor in (t for tensors in drawn for t in tensors):
            shape, known = tensor.values.shape, shapes.get(tensor.name, tensor.values.shape)
            if len(shape) != len(known):
                raise ContractError(
                    f"Weights that networks share must have as many axes in all of them, but "
                    f"{tensor.name!r} has shapes {tuple(known)} and {tuple(shape)}. Give one of "
                    "them another name."
                )
            shapes[tensor.name] = tuple(map(max, known, shape))
        _check_apart(shapes)
        self._place({name: torch.zeros(shape) for name, shape in shapes.items()})
        for number, module in enumerate(modules):
            state = _buffers_of(module)
            if state is not None:
                self.add_module(f"own-{number}", state)
        with torch.no_grad():
            for tensors in sorted(drawn, key=lambda some: sum(t.values.numel() for t in some)):
                for tensor in tensors:
                    shared = self.get_parameter(tensor.name)
                    shared[tensor.window(shared.shape)] = tensor.values
                    shared.requires_grad_(tensor.values.requires_grad)

    def _place(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts each tensor under its dotted name."""
        for name, values in tensors.items():
            *path, leaf = name.split(".")
            owner: nn.Module = self
            for child in path:
                if child not in owner._modules:
                    owner.add_module(child, nn.Module())
                owner = owner.get_submodule(child)
            owner.register_parameter(leaf, nn.Parameter(values))


class WindowedModule:
    """A plain module that runs with windows of shared tensors in the place of its parameters.

    Args:
        module: whose parameters are taken out.
        shared: the tensors.
    """

    def __init__(self, module: nn.Module, shared: SharedTensors) -> None:
        self.module = module
        self._cuts = []
        for tensor in [*_named_tensors(module)]:
            path, _, leaf = tensor.name.rpartition(".")
            window = tensor.window(shared.get_parameter(tensor.name).shape)
            self._cuts.append(_Cut(tensor.owners, shared.get_submodule(path), leaf, window))
        self.drop()

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The shared tensors that it has windows of."""
        return [cut.whole for cut in self._cuts]

    def __call__(self, x: Tensor) -> Tensor:
        """Output of the module; gradients reach the shared tensors."""
        if torch.is_grad_enabled():
            self._fill(_Cut.values)
        else:  # as parameters do, windows need gradients where no pass does: one may be under way
            with torch.inference_mode(mode=False), torch.enable_grad():
                self._fill(_Cut.values)
        y: Tensor = self.module(x)
        return y

    def plain(self) -> nn.Module:
        """A module with weights of its own, which lie in memory as those of a built one do."""
        self._fill(_Cut.copied)
        try:
            return copy.deepcopy(self.module)
        finally:
            self.drop()

    def apply_to_buffers(self, function: Callable[[Tensor], Tensor]) -> None:
        """Casts or moves what it has beside its windows, as `nn.Module.to` does."""
        self.drop()
        self.module._apply(function)  # type: ignore[no-untyped-call]  # torch leaves it so

    def _fill(self, values: Callable[["_Cut"], Tensor]) -> None:
        for cut in self._cuts:
            tensor = values(cut)
            for module, leaf in cut.owners:
                _put(module, leaf, tensor)

    def drop(self) -> None:
        """Frees its windows; the next pass makes them anew."""
        for cut in self._cuts:
            for module, leaf in cut.owners:
                _put(module, leaf, None)

    def __getstate__(self) -> dict[str, Any]:
        self.drop()  # windows that gradients are had of cannot be copied
        return self.__dict__


@dataclass(frozen=True, slots=True)
class _Cut:
    """One tensor of a module, and the part of a shared one that it is.

    Attributes:
        owners: modules and names that have it there; several if it is tied.
        home: module that has the shared tensor, which may be replaced there by another one.
        leaf: its name there.
        window: of it; empty if it is all of it.
        margins: what of it lies outside, as `torch.nn.functional.pad` takes it, with a minus.
    """

    owners: list[tuple[nn.Module, str]]
    home: nn.Module
    leaf: str
    window: Window
    margins: list[int] = field(init=False)

    def __post_init__(self) -> None:
        shape = self.whole.shape
        margins = [(-w.start, w.stop - n) for w, n in zip(self.window, shape, strict=False)]
        object.__setattr__(self, "margins", [*chain.from_iterable(margins[::-1])])

    @property
    def whole(self) -> nn.Parameter:
        """The shared tensor."""
        return cast(nn.Parameter, self.home._parameters[self.leaf])

    def values(self) -> Tensor:
        # Not an index: this is one operation, and gives the window memory of its own, in which it
        # lies as in a plain module, so that torch runs the same kernels.
        whole = self.whole
        return torch.constant_pad_nd(whole, self.margins) if self.margins else whole

    def copied(self) -> Tensor:
        values = self.values().detach()
        return nn.Parameter(values if self.margins else values.clone(), self.whole.requires_grad)


@dataclass(frozen=True, slots=True)
class _NamedTensor:
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


def _check_apart(names: Collection[str]) -> None:
    """Refuses names of tensors that are those of modules with tensors as well."""
    modules = {name[:end] for name in names for end, letter in enumerate(name) if letter == "."}
    both = sorted(modules.intersection(names))
    if both:
        raise ContractError(
            f"Weights that networks share must be in the same modules in all of them, but "
            f"{both[0]!r} is a weight in some and a module in others. Give one of them another "
            "name."
        )


def _put(module: nn.Module, leaf: str, tensor: Tensor | None) -> None:
    """Puts a tensor in the place of a parameter; one that gradients are had of is none itself."""
    module._parameters[leaf] = tensor  # type: ignore[assignment]  # see above
    if isinstance(module, nn.RNNBase):  # which keeps a list of them, too
        module._flat_weights[module._flat_weights_names.index(leaf)] = tensor


def _buffers_of(module: nn.Module) -> nn.Module | None:
    """A module of the buffers of another under the same names; None if it has none to be kept.

    It has the same dictionaries, so that a buffer which is replaced is so in both.
    """
    state = nn.Module()
    if not isinstance(module, _BatchNorm):
        state._buffers = module._buffers
        state._non_persistent_buffers_set = module._non_persistent_buffers_set
    for name, child in module.named_children():
        below = _buffers_of(child)
        if below is not None:
            state.add_module(name, below)
    return state if state._buffers or state._modules else None


def _named_tensors(module: nn.Module) -> Iterator[_NamedTensor]:
    """Parameters of a module, each once."""
    found: dict[int, _NamedTensor] = {}
    for prefix, part in module.named_modules(remove_duplicate=False):
        for leaf, values in part.named_parameters(recurse=False, remove_duplicate=False):
            name = f"{prefix}.{leaf}" if prefix else leaf
            is_kernel = isinstance(part, _ConvNd) and leaf == "weight"
            n_outer = 2 if is_kernel else values.ndim
            known = found.setdefault(id(values), _NamedTensor(name, values, [], n_outer))
            known.owners.append((part, leaf))
    yield from found.values()
