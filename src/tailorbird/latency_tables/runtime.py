"""Protocol of runtimes, which compile programs and time them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.samples import Samples

if TYPE_CHECKING:
    from torch import nn

Tensors = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """Settings of one round of measuring.

    Attributes:
        warmup_ms: time to run before anything counts.
        sample_ms: shortest time of one sample; a fast program runs many times in it.
        least_samples: taken in any case.
        most_samples: where sampling ends though it has not settled.
        spread: fraction of the median below which the interquartile range ends sampling.
        limit_s: wall clock after which a round has failed.
    """

    warmup_ms: int = 20
    sample_ms: int = 3
    least_samples: int = 10
    most_samples: int = 40
    spread: float = 0.02
    limit_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled program.

    Attributes:
        path: the program; what belongs to it lies beside it under the same stem.
        provenance: how it was compiled.
    """

    path: Path
    provenance: dict[str, str] = field(default_factory=dict)

    def delete(self) -> None:
        """Deletes the files of the program."""
        for file in self.path.parent.glob(f"{self.path.stem}.*"):
            file.unlink(missing_ok=True)


class Runtime(Protocol):
    """Compiles programs and times them, in a process of its own that may be killed."""

    @property
    def losses(self) -> Sequence[str]:
        """Reasons, one for each time that its device was lost and came back."""

    def configuration(self, device: Device, batch: int) -> Configuration:
        """Configuration of its measurements on a device: what makes them comparable."""

    def compile(self, module: "nn.Module", inputs: Tensors, device: Device) -> Artifact:
        """Compiles a module for inputs of these shapes.

        Raises:
            MeasurementError: if that does not work.
        """

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors | None:
        """Runs a program once; returns its outputs, in torch's layout; None if it has no way to.

        Raises:
            MeasurementError: if it crashes, hangs or cannot be loaded.
        """

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        """Times a program that takes turns with `n_copies` copies of its weights.

        Raises:
            MeasurementError: if it crashes, hangs or cannot be loaded.
        """

    def close(self) -> None:
        """Ends its processes."""
