"""Programs: what is compiled and timed, each under a key of its own."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import require
from tailorbird.latency_tables.runtime import Tensors
from tailorbird.spaces import CALL, Workload

if TYPE_CHECKING:
    from torch import nn

EMPTY_KEY = CALL.key
"""Key of the empty program, whose latency is that of a call."""

_MOST_COPIES = 256


@dataclass(frozen=True, slots=True)
class Program:
    """Something to time under a key.

    Attributes:
        key: under which the store keeps it.
        build: makes the torch module.
        inputs: shape of each input, as torch takes them.
        network_bytes: size of the weights that a network reads between two uses of this
            program's; 0 for what is used again and again as it is, such as whole networks.
    """

    key: str
    build: Callable[[], "nn.Module"]
    inputs: tuple[tuple[int, ...], ...]
    network_bytes: int = 0

    @classmethod
    def of(cls, workload: Workload, network_bytes: int = 0) -> "Program":
        """Returns the program of a workload, with fresh weights.

        Raises:
            ValueError: if it is not in float32; nothing else is measured yet.
        """
        if workload.dtype != "f32":
            raise ValueError(f"`dtype == 'f32'` must hold, but got {workload.dtype!r}.")
        return cls(workload.key, workload.build, workload.inputs, network_bytes)

    def n_copies(self, weight_bytes: int) -> int:
        """Number of copies of weights of this size that together are as large as a network's."""
        if not weight_bytes:
            return 1
        return min(max(1, math.ceil(self.network_bytes / weight_bytes)), _MOST_COPIES)

    def module(self) -> "nn.Module":
        """Builds the module in evaluation mode, with the same random weights every time."""
        with seeded():
            module = self.build().eval()
            _vary_constants(module)
            return module

    def examples(self, seed: int) -> Tensors:
        """Random inputs, the same for the same seed."""
        rng = np.random.default_rng(seed)
        return tuple(rng.standard_normal(s, dtype=np.float32) for s in self.inputs)


@contextmanager
def seeded() -> Iterator[None]:
    """Seeds torch's random numbers inside, and leaves those outside as they were."""
    require("torch")
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _vary_constants(module: "nn.Module") -> None:
    """Adds noise to parameters and statistics that hold a single value, such as zeros or ones.

    They would hide errors: a layer scale of 1e-6, or a norm that starts at zero, would let any
    error of its whole branch pass, and a fresh batch norm is the same as none.
    """
    import torch

    running = ("running_mean", "running_var")
    buffers = (b for name, b in module.named_buffers() if name.rpartition(".")[2] in running)
    with torch.no_grad():
        for tensor in (*module.parameters(), *buffers):
            if tensor.is_floating_point() and tensor.numel() and tensor.min() == tensor.max():
                tensor.add_(torch.rand_like(tensor) - 0.5)
