"""Windows: modules of several sizes whose weights are parts of the same tensors."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn

from tailorbird.training.shared.named_tensors import Window, named_tensors
from tailorbird.training.shared.shared_tensors import SharedTensors


class WindowedModule:
    """A plain module that runs with windows of shared tensors in the place of its parameters.

    Args:
        module: whose parameters are taken out.
        shared: the tensors.
    """

    def __init__(self, module: nn.Module, shared: SharedTensors) -> None:
        self.module = module
        self._cuts = []
        for tensor in [*named_tensors(module)]:
            path, _, leaf = tensor.name.rpartition(".")
            window = tensor.window(shared.get_parameter(tensor.name).shape)
            cut = _Cut(tensor.name, tensor.owners, shared.get_submodule(path), leaf, window)
            self._cuts.append(cut)
        self.drop()

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The shared tensors that it has windows of."""
        return [cut.whole for cut in self._cuts]

    @property
    def windows(self) -> dict[str, tuple[nn.Parameter, Window]]:
        """Shared tensor and window of each of its parameters, by name."""
        return {cut.name: (cut.whole, cut.window) for cut in self._cuts}

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
        name: of it there, dotted.
        owners: modules and names that have it there; several if it is tied.
        home: module that has the shared tensor, which may be replaced there by another one.
        leaf: its name there.
        window: of it; empty if it is all of it.
        margins: what of it lies outside of slices, as `torch.nn.functional.pad` takes it, with a
            minus.
        chosen: axes of which not all indices, or not in their order, are in a mesh, and those.
    """

    name: str
    owners: list[tuple[nn.Module, str]]
    home: nn.Module
    leaf: str
    window: Window
    margins: list[int] = field(init=False)
    chosen: list[tuple[int, Tensor]] = field(init=False)

    def __post_init__(self) -> None:
        margins, chosen = [], list[tuple[int, Tensor]]()
        for axis, (part, n) in enumerate(zip(self.window, self.whole.shape, strict=False)):
            if isinstance(part, slice):
                margins.append((-part.start, part.stop - n))
            elif not torch.equal(part.flatten(), torch.arange(n, device="cpu")):
                chosen.append((axis, part.flatten()))
        object.__setattr__(self, "margins", [*chain.from_iterable(margins[::-1])])
        object.__setattr__(self, "chosen", chosen)

    @property
    def whole(self) -> nn.Parameter:
        """The shared tensor."""
        return cast(nn.Parameter, self.home._parameters[self.leaf])

    def values(self) -> Tensor:
        # Not an index: these are few operations, and give the window memory of its own, in which
        # it lies as in a plain module, so that torch runs the same kernels.
        values: Tensor = self.whole
        for axis, indices in self.chosen:
            values = values.index_select(axis, indices.to(values.device))
        return torch.constant_pad_nd(values, self.margins) if self.margins else values

    def copied(self) -> Tensor:
        values = self.values().detach()
        return nn.Parameter(values if self.window else values.clone(), self.whole.requires_grad)


def _put(module: nn.Module, leaf: str, tensor: Tensor | None) -> None:
    """Puts a tensor in the place of a parameter; one that gradients are had of is none itself."""
    module._parameters[leaf] = tensor  # type: ignore[assignment]  # see above
    if isinstance(module, nn.RNNBase):  # which keeps a list of them, too
        module._flat_weights[module._flat_weights_names.index(leaf)] = tensor
