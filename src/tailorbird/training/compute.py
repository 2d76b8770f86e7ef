"""Where and how networks compute: device, precision, and processes that read images."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from tailorbird.errors import ContractError, in_a_line, raising, shown
from tailorbird.registry.python_paths import check_named
from tailorbird.training.ranks import ALONE, Ranks

PRECISIONS = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
"""Types of the numbers that layers multiply, by name; weights are float32 always."""

_MOST_WORKERS = 8

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Compute:
    """Where and how networks compute.

    Attributes:
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`: a GPU if there is one.
        precision: `f32`, `bf16` or `f16`, of what layers multiply, while they learn and when they
            are evaluated.
        loader_workers: processes that decode and augment images; if None, as many as there are
            processors, up to eight. Images that lie in memory as arrays need none.
        ranks: processes that train together, each on a device of its own, or on the processors.

    Raises:
        ContractError: if the device is not there, or cannot compute in this precision.
    """

    device: str = "cpu"
    precision: str = "f32"
    loader_workers: int | None = None
    ranks: Ranks = ALONE

    def __post_init__(self) -> None:
        check_named(self.precision, PRECISIONS, "precision")
        if self.device != "auto" and not _is_there(self.device):
            raise ContractError(
                f"device must be one that torch finds, but {shown(self.device)} is not there: it "
                f'finds {", ".join(_found())}. Take one of these, or "auto".'
            )
        self._check_ranks()
        if self.precision != "f32":
            weights = torch.ones(8, 8, device=self.torch_device, requires_grad=True)
            with raising(self._unfit), self.autocast():
                (weights @ weights).sum().backward()  # type: ignore[no-untyped-call]  # torch's

    def _check_ranks(self) -> None:
        """Refuses devices that ranks cannot share."""
        if self.ranks.n == 1:
            return
        device = self.torch_device
        if device.type == "mps" or torch.device(self.device.replace("auto", "cpu")).index:
            raise ContractError(
                'device of several ranks must be "auto", "cuda" or "cpu", since each has its '
                f"own, but is {shown(self.device)}."
            )
        if device.type == "cuda" and self.ranks.local >= torch.cuda.device_count():
            raise ContractError(
                "Each rank of a machine needs a GPU of its own, but there are "
                f"{torch.cuda.device_count()} and rank {self.ranks.local} has none. Start fewer "
                '(torchrun --nproc-per-node), or write device = "cpu".'
            )

    def _unfit(self, error: BaseException) -> ContractError:
        return ContractError(
            f"precision must be one that the device computes in, but {self.torch_device} fails in "
            f'{shown(self.precision)} ({in_a_line(error)}). Take "f32".'
        )

    @property
    def torch_device(self) -> torch.device:
        """The device; of several ranks each has the GPU of its number on its machine."""
        device = torch.device(_found()[-1] if self.device == "auto" else self.device)
        if self.ranks.n > 1 and device.type == "cuda":
            return torch.device("cuda", self.ranks.local)
        return device

    @property
    def decides(self) -> dict[str, object]:
        """What decides weights: what is no default; devices and numbers of ranks round only."""
        precision = {} if self.precision == "f32" else {"precision": self.precision}
        return precision | self.ranks.decides

    @property
    def n_workers(self) -> int:
        """Number of processes that read images."""
        if self.loader_workers is not None:
            return self.loader_workers
        n_processors = os.cpu_count() or 1
        if hasattr(os, "sched_getaffinity"):  # it is not on macOS
            n_processors = len(os.sched_getaffinity(0))
        return min(_MOST_WORKERS, max(1, n_processors // self.ranks.n_local))

    def autocast(self) -> AbstractContextManager[object]:
        """Lets layers compute in the precision inside."""
        if self.precision == "f32":
            return nullcontext()
        return torch.autocast(self.torch_device.type, PRECISIONS[self.precision])

    def made(self, results: Callable[[], Iterable[_Result]]) -> Iterator[_Result]:
        """Yields results, each computed in the precision; what is done with it is not."""
        with self.autocast():  # some are computed at once
            computing = iter(results())
        while True:
            with self.autocast():
                try:
                    result = next(computing)
                except StopIteration:
                    return
            yield result

    def scaler(self) -> torch.amp.GradScaler:
        """Scaler of losses, by which small gradients do not vanish in `f16`."""
        return torch.amp.GradScaler(self.torch_device.type, enabled=self.precision == "f16")


def device_of(network: nn.Module) -> torch.device:
    """Device that a network is on."""
    return next(network.parameters()).device


def _found() -> list[str]:
    """Kinds of devices that torch finds, the one to prefer last."""
    found = ["cpu"]
    if torch.backends.mps.is_available():
        found.append("mps")
    if torch.cuda.is_available():
        found.append("cuda")
    return found


def _is_there(name: str) -> bool:
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        return False
    if device.type not in _found():
        return False
    n = torch.cuda.device_count() if device.type == "cuda" else 1
    return (device.index or 0) < n


CPU = Compute()
"""Plain computing, on the processor."""
