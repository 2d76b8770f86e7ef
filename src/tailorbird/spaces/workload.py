"""Workloads: the operators and blocks that devices time."""

import copy
import importlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from tailorbird.errors import ContractError, naming_extras, require, shown

if TYPE_CHECKING:
    from torch import nn

_LONGEST_OP = 200  # characters
_WORD = re.compile(r"\w[\w.+-]*")


@dataclass(frozen=True, slots=True)
class Workload:
    """An operator or block with its shapes; a row of a latency table holds its latency.

    Two workloads are the same iff their keys are equal: all that latency depends on is in the key.

    Attributes:
        op: name of the operator or block, in the words of its space.
        params: (name, value) pairs of the module, in a fixed order; see `is_value`.
        inputs: shape of each input, batch first, as torch takes them.
        builder: Python path `package.module:Class` of the torch module made from `params`.
        dtype: of inputs and weights.
        digest: of the operators of a module that its author may change under the same name.
        module: that is copied in the place of what `builder` makes; None for what is built.

    Raises:
        ContractError: if an attribute is of another type, or is no such value.
    """

    op: str
    params: tuple[tuple[str, Any], ...]
    inputs: tuple[tuple[int, ...], ...]
    builder: str = field(compare=False, repr=False)
    dtype: str = "f32"
    digest: str = ""
    module: "nn.Module | None" = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        laws = {
            "op": (
                f"a printable text of at most {_LONGEST_OP} characters",
                isinstance(self.op, str)
                and self.op.isprintable()
                and 0 < len(self.op) <= _LONGEST_OP,
            ),
            "params": (
                "a tuple of pairs of a name and a finite number or a word such as 'relu'",
                _are_params(self.params),
            ),
            "inputs": ("a tuple of shapes, tuples of positive integers", _are_shapes(self.inputs)),
            "builder": (
                "a path such as 'package.module:Class'",
                isinstance(self.builder, str) and all(self.builder.partition(":")),
            ),
            "digest": ("a text", isinstance(self.digest, str)),
            "dtype": ("a text such as 'f32'", isinstance(self.dtype, str) and self.dtype != ""),
        }
        for name, (law, holds) in laws.items():
            if not holds:
                raise ContractError(
                    f"A workload's `{name}` must be {law}, but that of {shown(self.op)} is "
                    f"{shown(getattr(self, name))}."
                )

    @classmethod
    def from_module(cls, name: str, module: "nn.Module", *inputs: tuple[int, ...]) -> "Workload":
        """Workload of any module, such as one of a user's own. Imports torch.

        Its key ends in a digest of its operators: another structure is another workload, but other
        weights are not.

        Args:
            name: in the key.
            module: in float32, on the CPU; it is kept, and not changed.
            inputs: shape of each input, batch first.

        Raises:
            ContractError: if the module cannot be exported, or does not do what it must.
        """
        require("torch")
        from tailorbird.spaces.structure import exportable

        kind = type(module)
        builder = f"{kind.__module__}:{kind.__qualname__}"
        shapes = tuple(tuple(x) if isinstance(x, Sequence) else x for x in inputs)
        plain = cls(name, (), shapes, builder, module=module)  # its law refuses names and shapes
        return replace(plain, digest=exportable(module, shapes, name))

    @property
    def key(self) -> str:
        """Text that identifies it, such as `residual_block(width=8)[16x8x8x8]f32`."""
        params = ",".join(f"{name}={value}" for name, value in self.params)
        shapes = ",".join("x".join(map(str, shape)) for shape in self.inputs)
        digest = f"#{self.digest}" if self.digest else ""
        return f"{self.op}({params})[{shapes}]{self.dtype}{digest}"

    @property
    def numbers(self) -> dict[str, float]:
        """Parameters by name, as predictors see them; a word is a 1 under name and word."""
        words = {f"{name} {value}": 1.0 for name, value in self.params if isinstance(value, str)}
        return words | {n: float(v) for n, v in self.params if not isinstance(v, str)}

    def build(self) -> "nn.Module":
        """The torch module, with fresh weights if it is built. Imports torch."""
        if self.module is not None:
            return copy.deepcopy(self.module)
        path, _, name = self.builder.partition(":")
        with naming_extras():
            module: nn.Module = getattr(importlib.import_module(path), name)(**dict(self.params))
        return module


def module_workload(
    path: str, name: str, op: str, params: Mapping[str, Any], *inputs: tuple[int, ...]
) -> Workload:
    """Workload of a torch module.

    Args:
        path: Python module that defines it.
        name: of its class.
        op: name of the operator or block.
        params: that it is made with; their order is part of the key.
        inputs: shape of each input, batch first.
    """
    return Workload(op, tuple(params.items()), inputs, f"{path}:{name}")


def is_value(value: object) -> bool:
    """True for finite numbers, bools and words: what keys can hold, each under a text of its own.

    A word has letters, digits, `_`, `.`, `+` and `-`, and cannot be read as a number or a bool.
    """
    if isinstance(value, Real):
        return math.isfinite(value)
    is_word = isinstance(value, str) and _WORD.fullmatch(value) is not None
    return is_word and value not in ("True", "False") and not _is_number(str(value))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _are_params(params: object) -> bool:
    return isinstance(params, tuple) and all(
        isinstance(pair, tuple)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and is_value(pair[1])
        for pair in params
    )


def _are_shapes(inputs: object) -> bool:
    return (
        isinstance(inputs, tuple)
        and inputs != ()
        and all(
            isinstance(shape, tuple)
            and all(isinstance(n, int | np.integer) and n > 0 for n in shape)
            for shape in inputs
        )
    )


CALL = Workload(op="call", params=(), inputs=((1,),), builder="torch.nn:Identity")
"""The empty program. Its latency is part of every measurement, and of every network once."""
