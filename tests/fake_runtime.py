"""A runtime whose programs take as long as a test says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import MeasurementError
from tailorbird.latency_tables import Configuration, Device, Samples
from tailorbird.latency_tables.runtime import Artifact, Tensors

if TYPE_CHECKING:
    from torch import nn

REFERENCE_SHAPE = (64, 256)


@dataclass
class FakeRuntime:
    """Runs the module in torch; a program takes as long as `ms` says of its number.

    Numbers go by order of compilation; the profiler's reference workload has none.
    """

    ms: Callable[[int], float] = lambda n: 1.0 + n
    reference_ms: Callable[[], float] = lambda: 1.0
    broken: frozenset[int] = frozenset()
    wrong: frozenset[int] = frozenset()
    undefined: frozenset[int] = frozenset()
    modules: "list[nn.Module]" = field(default_factory=list)
    references: "list[nn.Module]" = field(default_factory=list)
    n_measured: int = 0
    losses: tuple[str, ...] = ()
    is_silent: bool = False
    """Whether it has no way to give outputs."""

    def configuration(self, device: Device, batch: int) -> Configuration:
        return Configuration(
            device.cpu, "fake", device.threads, batch, "fake", "1", "none", "fake-1"
        )

    def compile(self, module: "nn.Module", inputs: Tensors, device: Device) -> Artifact:
        import torch

        try:
            with torch.inference_mode():
                module(*map(torch.from_numpy, inputs))
        except Exception as error:
            raise MeasurementError.of("it does not run", error) from error
        if inputs[0].shape == REFERENCE_SHAPE:
            self.references.append(module)
            return Artifact(Path("reference"))
        self.modules.append(module)
        return Artifact(Path(str(len(self.modules) - 1)))

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors | None:
        import torch

        if self.is_silent:
            return None
        number = int(str(artifact.path))
        with torch.inference_mode():
            output = self.modules[number](*map(torch.from_numpy, inputs)).numpy()
        if number in self.undefined:
            return (np.full_like(output, np.nan),)
        return (output + (number in self.wrong),)

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        if artifact.path.name == "reference":
            return Samples(np.full(5, self.reference_ms()), np.array([]))
        number = int(str(artifact.path))
        self.n_measured += 1
        if number in self.broken:
            raise MeasurementError("it is broken")
        ms = self.ms(number)
        return Samples(np.full(5, ms), np.full(3 if n_copies > 1 else 0, ms))

    def close(self) -> None:
        pass
