"""Stages of blocks, as users write them."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tailorbird.errors import ContractError, plain, shown
from tailorbird.spaces.elastic.layer import Layer, check_value
from tailorbird.spaces.workload import Workload

if TYPE_CHECKING:
    from torch import nn


class Stage:
    """Blocks of one class, one after the other.

    A tuple is a choice: a network has one of the depths, and each of its blocks one value of each
    argument. What is no tuple is the same in all of them. Where the class has parameters of these
    names, it is also given `width`, the width of the block's input, `to` and `stride`.

    Args:
        block: class of torch modules, importable, or a `functools.partial` of one.
        to: width of every block's output, or a tuple of them, of which a network has one for all
            blocks; if left out, that of its input.
        stride: of the first block; that of the others is 1.
        depth: number of blocks; with 0 the stage is left out, its stride and width with it.
        **arguments: of the class: finite numbers, bools and words such as "relu".

    Raises:
        ContractError: if the class does not take them, or something is none of these.
    """

    def __init__(
        self,
        block: "type[nn.Module] | partial[Any]",
        /,
        *,
        to: int | tuple[int, ...] | None = None,
        stride: int = 1,
        depth: int | tuple[int, ...] = 1,
        **arguments: object,
    ) -> None:
        layer = Layer(block, arguments if to is None else {**arguments, "to": to})
        if stride != 1:
            layer.check_has("stride")
        if not _is_count(stride) or stride < 1:
            raise ContractError(
                f"`stride` of a stage of {layer.name} must be one positive integer, that of its "
                f"first block, but is {shown(stride)}."
            )
        self.depths = depth if isinstance(depth, tuple) else (depth,)
        if not all(map(_is_count, self.depths)) or not any(self.depths):
            raise ContractError(
                f"`depth` of a stage of {layer.name} must be a number of blocks or a tuple of "
                f"numbers, not all 0, but is {shown(depth)}."
            )
        _check_choices(self.depths, "depth", layer)
        self.shared: dict[str, tuple[Any, ...]] = {}
        self.options: dict[str, tuple[Any, ...]] = {}
        self._fixed: dict[str, object] = {}
        for name, value in layer.arguments.items():
            values = value if isinstance(value, tuple) else (value,)
            _check_choices(values, name, layer)
            if len(values) > 1:
                (self.shared if name == "to" else self.options)[name] = values
            else:
                self._fixed[name] = values[0]
        self._layer = layer
        self._stride = stride

    def __repr__(self) -> str:
        arguments = {"depth": self.depths, **self._fixed, **self.shared, **self.options}
        said = ", ".join(f"{name}={value}" for name, value in arguments.items())
        return plain(f"Stage({self._layer.name}, {said})")

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
        stride = self._stride if slot == 0 else 1
        given = self._layer.own({"width": width, "to": width, "stride": stride})
        chosen = dict(zip((*self.shared, *self.options), values, strict=True))
        return self._layer.workload(shape, {**given, **self._fixed, **chosen})


def _check_choices(values: tuple[Any, ...], name: str, layer: Layer) -> None:
    for value in values:
        check_value(value, f"`{name}` of {layer.name}")
    if not values or len({*values}) < len(values) or len({*map(str, values)}) < len(values):
        raise ContractError(
            f"The choices for `{name}` of {layer.name} must be at least one, each once, but are "
            f"{shown(values)}."
        )


def _is_count(value: object) -> bool:
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        return False
    return bool(value >= 0)
