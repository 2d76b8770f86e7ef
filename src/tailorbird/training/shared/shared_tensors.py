"""Tensors that modules of several sizes share, each as large as the largest module needs."""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tailorbird.errors import ContractError
from tailorbird.training.shared.named_tensors import named_tensors


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
        drawn = [[*named_tensors(module)] for module in modules]
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
