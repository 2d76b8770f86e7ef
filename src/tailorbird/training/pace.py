"""Pace of networks: seconds for an image, in training and in evaluation."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from tailorbird.training.compute import Compute
from tailorbird.training.one_thread import one_thread

_LONGEST_S = 0.5  # of one try, but for the first step
_FEWEST = 2  # images of a step, for batch norms


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that a network takes for an image.

    Attributes:
        training_s: forwards and backwards.
        evaluation_s: forwards, on one thread if on processors, as evaluations are.
    """

    training_s: float
    evaluation_s: float


def pace_of(network: nn.Module, shape: tuple[int, ...], batch: int, compute: Compute) -> Pace:
    """Measures the pace of a network on random images, for about a second.

    Args:
        network: whose statistics of norms may change.
        shape: of an image, (channels, height, width).
        batch: images of a training step; fewer are tried where a step is long.
        compute: the device and precision.
    """
    device = compute.torch_device
    network = network.to(device)

    def forwards(n: int) -> torch.Tensor:
        with compute.autocast():
            out: torch.Tensor = network(torch.rand(n, *shape, device=device))
        return out

    def step(n: int) -> None:
        logits = forwards(n).float()
        loss = functional.cross_entropy(logits, torch.zeros(n, dtype=torch.long, device=device))
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        network.zero_grad()

    def evaluated(n: int) -> None:
        with torch.inference_mode(), one_thread():
            forwards(n)

    network.train()
    training_s = _seconds_per_image(step, batch, device)
    network.eval()
    return Pace(training_s, _seconds_per_image(evaluated, batch, device))


def _seconds_per_image(run: Callable[[int], object], batch: int, device: torch.device) -> float:
    run(_FEWEST)  # makes ready
    once_s = _timed(run, _FEWEST, device)
    n = max(_FEWEST, min(batch, int(_FEWEST * _LONGEST_S / max(once_s, 1e-9))))
    run(n)
    n_steps = max(1, min(20, int(_LONGEST_S / max(once_s * n / _FEWEST, 1e-9))))
    return min(_timed(run, n, device) for _ in range(n_steps)) / n


def _timed(run: Callable[[int], object], n: int, device: torch.device) -> float:
    begin = time.perf_counter()
    run(n)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin
