"""What a device is asked to time."""

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Workload:
    """A program whose latency a table holds.

    Two workloads are the same iff their keys are equal: all that latency depends on is in the key.

    Attributes:
        op: what it computes, in the words of its space.
        params: (name, value) pairs of the module, in a fixed order.
        inputs: shape of each input, batch first, as torch takes them.
        builder: Python path `package.module:Class` of the torch module made from `params`.
        dtype: of inputs and weights.
    """

    op: str
    params: tuple[tuple[str, int | float], ...]
    inputs: tuple[tuple[int, ...], ...]
    builder: str = field(compare=False, repr=False)
    dtype: str = "f32"

    @property
    def key(self) -> str:
        """Stable text such as `residual_block(width=8)[16x8x8x8]f32`."""
        params = ",".join(f"{name}={value}" for name, value in self.params)
        shapes = ",".join("x".join(map(str, shape)) for shape in self.inputs)
        return f"{self.op}({params})[{shapes}]{self.dtype}"

    def build(self) -> "nn.Module":
        """The torch module with fresh weights. Imports torch."""
        path, _, name = self.builder.partition(":")
        module: nn.Module = getattr(importlib.import_module(path), name)(**dict(self.params))
        return module


CALL = Workload(op="call", params=(), inputs=((1,),), builder="torch.nn:Identity")
"""The empty program. Its latency is part of every measurement, and of every network once."""
