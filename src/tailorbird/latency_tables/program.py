"""What is timed under a key, and whether it computes what torch computes."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import MeasurementError, raising
from tailorbird.latency_tables.device import Device
from tailorbird.latency_tables.runtime import Artifact, Runtime, Tensors
from tailorbird.spaces import Workload

if TYPE_CHECKING:
    from torch import nn

TOLERANCE = 1e-5
"""Largest difference from torch, relative to the largest output; beyond it a row is refused."""

_CHECKS = 3
_MOST_COPIES = 256


@dataclass(frozen=True, slots=True)
class Program:
    """Something to time under a key.

    Attributes:
        key: under which the store keeps it.
        build: makes the torch module.
        inputs: shape of each input, as torch takes them.
        network_bytes: of the weights that a network reads between two uses of this program's; 0
            for what is used again and again as it is, such as whole networks.
    """

    key: str
    build: Callable[[], "nn.Module"]
    inputs: tuple[tuple[int, ...], ...]
    network_bytes: int = 0

    @classmethod
    def of(cls, workload: Workload, network_bytes: int = 0) -> "Program":
        """A workload with fresh weights.

        Raises:
            ValueError: if it is not in float32; nothing else is measured yet.
        """
        if workload.dtype != "f32":
            raise ValueError(f"`dtype == 'f32'` must hold, but got {workload.dtype!r}.")
        return cls(workload.key, workload.build, workload.inputs, network_bytes)

    def n_copies(self, weight_bytes: int) -> int:
        """Copies of weights of this size that together are as large as a network's."""
        if not weight_bytes:
            return 1
        return min(max(1, math.ceil(self.network_bytes / weight_bytes)), _MOST_COPIES)

    def module(self) -> "nn.Module":
        """With the same weights every time, none of which hides anything, in evaluation mode."""
        with seeded():
            module = self.build().eval()
            _vary_constants(module)
            return module

    def examples(self, seed: int) -> Tensors:
        """Inputs that are the same for the same seed."""
        rng = np.random.default_rng(seed)
        return tuple(rng.standard_normal(s, dtype=np.float32) for s in self.inputs)


@contextmanager
def seeded() -> Iterator[None]:
    """Torch draws the same inside, and outside as if nothing had been drawn."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _vary_constants(module: "nn.Module") -> None:
    """Makes fresh weights tell: zeros and ones hide what is done with them, and behind them.

    A layer scale of 1e-6, or a norm that starts at zero, would let any error of its whole branch
    pass, and a fresh batch norm is the same as none.
    """
    import torch

    running = ("running_mean", "running_var")
    buffers = (b for name, b in module.named_buffers() if name.rpartition(".")[2] in running)
    with torch.no_grad():
        for tensor in (*module.parameters(), *buffers):
            if tensor.is_floating_point() and tensor.numel() and tensor.min() == tensor.max():
                tensor.add_(torch.rand_like(tensor) - 0.5)


def check(
    program: Program, module: "nn.Module", runtime: Runtime, artifact: Artifact, device: Device
) -> None:
    """Compares a compiled program with torch on several inputs.

    Raises:
        MeasurementError: if any output differs, or is undefined on either side.
    """
    import torch

    for seed in range(_CHECKS):
        inputs = program.examples(seed)
        # On copies: a module may work in place.
        with torch.no_grad(), raising(partial(MeasurementError.of, "it does not run in torch")):
            outputs = module(*(torch.from_numpy(x.copy()) for x in inputs))
        expected = outputs if isinstance(outputs, tuple | list) else (outputs,)
        got = runtime.run(artifact, inputs, device)
        if len(got) != len(expected):
            raise MeasurementError(f"it has {len(got)} outputs, but {len(expected)} in torch")
        for y, tensor in zip(got, expected, strict=True):
            if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
                raise MeasurementError("it returns something else than tensors of floats in torch")
            _compare(y, tensor.detach().numpy())


def _compare(got: np.ndarray, expected: np.ndarray) -> None:
    if got.shape != expected.shape:
        raise MeasurementError(f"an output has shape {got.shape}, but {expected.shape} in torch")
    if not expected.size:
        raise MeasurementError("an output in torch is empty, so nothing can be compared")
    if not np.isfinite(expected).all():
        raise MeasurementError("its output in torch is not finite, so nothing can be compared")
    error = np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-30)
    if not error <= TOLERANCE:  # NaN is refused as well
        raise MeasurementError(
            f"outputs differ from torch by {error:.1e} of the largest output, "
            f"more than {TOLERANCE:.0e}"
        )
