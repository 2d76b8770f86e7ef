"""Stages of blocks, as users write them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tailorbird.errors import ContractError, plain, shown
from tailorbird.spaces.elastic.layer import Layer, check_value
from tailorbird.spaces.workload import Workload

if TYPE_CHECKING:
    from torch import nn

    Module = type[nn.Module] | partial[Any]

_CLASS = "block"
"""Name of the choice among several classes."""


class Stage:
    """Blocks one after the other, of one class or of several.

    A tuple is a choice: a network has one of the depths, and each of its blocks one of the classes,
    and one value of each argument. What is no tuple is the same in all of them. Where a class has
    parameters of these names, it is also given `width`, the width of the block's input, `to` and
    `stride`. Of several classes, each is given the arguments that it has parameters for; blocks in
    one place share their weights with those of their own class only.

    Args:
        block: class of torch modules, importable, or a `functools.partial` of one, or a tuple of
            them.
        to: width of every block's output, or a tuple of them, of which a network has one for all
            blocks; if left out, that of its input.
        stride: of the first block; that of the others is 1.
        depth: number of blocks; with 0 the stage is left out, its stride and width with it.
        **arguments: of the classes: finite numbers, bools and words such as "relu".

    Raises:
        ContractError: if no class takes them, or something is none of these.
    """

    def __init__(
        self,
        block: "Module | tuple[Module, ...]",
        /,
        *,
        to: int | tuple[int, ...] | None = None,
        stride: int = 1,
        depth: int | tuple[int, ...] = 1,
        **arguments: object,
    ) -> None:
        given = arguments if to is None else {**arguments, "to": to}
        self._layers = _layers(block if isinstance(block, tuple) else (block,), given)
        self._name = " | ".join(self._layers)
        for layer in self._layers.values() if stride != 1 else ():
            layer.check_has("stride")
        if not _is_count(stride) or stride < 1:
            raise ContractError(
                f"`stride` of a stage of {self._name} must be one positive integer, that of its "
                f"first block, but is {shown(stride)}."
            )
        self.depths = depth if isinstance(depth, tuple) else (depth,)
        if not all(map(_is_count, self.depths)) or not any(self.depths):
            raise ContractError(
                f"`depth` of a stage of {self._name} must be a number of blocks or a tuple of "
                f"numbers, not all 0, but is {shown(depth)}."
            )
        _check_choices(self.depths, "depth", self._name)
        self.shared: dict[str, tuple[Any, ...]] = {}
        self.options: dict[str, tuple[Any, ...]] = {}
        if len(self._layers) > 1:
            self.options[_CLASS] = tuple(self._layers)
        self._fixed: dict[str, dict[str, object]] = {}
        for layer in self._layers.values():
            self._take(layer)
        self._stride = stride

    def __repr__(self) -> str:
        fixed = {name: value for of in self._fixed.values() for name, value in of.items()}
        options = {name: value for name, value in self.options.items() if name != _CLASS}
        arguments = {"depth": self.depths, **fixed, **self.shared, **options}
        said = ", ".join(f"{name}={value}" for name, value in arguments.items())
        return plain(f"Stage({self._name}, {said})")

    def uses(self, name: str, values: tuple[object, ...]) -> bool:
        """True if a block has an option, given what was chosen before it, as for `workload`."""
        return name == _CLASS or name in self._options_of(self._layer(values))

    def workload(
        self, shape: tuple[int, ...], width: int, slot: int, values: tuple[object, ...]
    ) -> Workload:
        """Workload of a block.

        Args:
            shape: of its input.
            width: of its input.
            slot: number of the stage's blocks before it.
            values: chosen for it, in the order of `shared` and then `options`.
        """
        layer = self._layer(values)
        stride = self._stride if slot == 0 else 1
        given = layer.own({"width": width, "to": width, "stride": stride})
        chosen = dict(zip((*self.shared, *self.options), values, strict=True))
        own = {name: chosen[name] for name in self._options_of(layer)}
        return layer.workload(shape, {**given, **self._fixed[layer.name], **own})

    def _take(self, layer: Layer) -> None:
        """Tells what of a class is chosen from what is fixed."""
        fixed = self._fixed[layer.name] = {}
        for name, value in layer.arguments.items():
            values = value if isinstance(value, tuple) else (value,)
            _check_choices(values, name, layer.name)
            if len(values) == 1:
                fixed[name] = values[0]
                continue
            chosen = self.shared if name == "to" else self.options
            if chosen.setdefault(name, values) != values:
                raise ContractError(
                    f"A choice of a stage must be one for all classes that have it, but `{name}` "
                    f"of {layer.name} is {shown(values)}, and of another {shown(chosen[name])}. "
                    "Give it to the stage, or rename one."
                )

    def _layer(self, values: tuple[object, ...]) -> Layer:
        """The class of a block, by what is chosen for it."""
        names = [*self._layers]
        return self._layers[names[0] if len(names) == 1 else str(values[len(self.shared)])]

    def _options_of(self, layer: Layer) -> list[str]:
        """Names of what is chosen for a class, in their order."""
        named = [name for name in (*self.shared, *self.options) if name in layer.arguments]
        return [name for name in named if name not in self._fixed[layer.name]]


def _layers(blocks: "Sequence[Module]", given: Mapping[str, object]) -> dict[str, Layer]:
    """Classes by their names, each with those of the arguments that it takes.

    Raises:
        ContractError: if none takes one, one does not take `to`, or two have one name.
    """
    if not blocks:
        raise ContractError("A stage must have one class of blocks at least, but has none.")
    bare = [Layer(block) for block in blocks]
    for name in given:
        if not any(layer.takes(name) for layer in bare):
            bare[0].check_has(name)
    layers: dict[str, Layer] = {}
    for block, layer in zip(blocks, bare, strict=True):
        if layer.name in layers:
            raise ContractError(
                "Classes of a stage must have names of their own, by which encodings know them, "
                f"but two are {layer.name!r}. Let one class have an argument that is a tuple."
            )
        own = {n: value for n, value in given.items() if n == "to" or layer.takes(n)}
        layers[layer.name] = Layer(block, own)
    return layers


def _check_choices(values: tuple[Any, ...], name: str, of: str) -> None:
    for value in values:
        check_value(value, f"`{name}` of {of}")
    if not values or len({*values}) < len(values) or len({*map(str, values)}) < len(values):
        raise ContractError(
            f"The choices for `{name}` of {of} must be at least one, each once, but are "
            f"{shown(values)}."
        )


def _is_count(value: object) -> bool:
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        return False
    return bool(value >= 0)
