"""The contract of whatever compiles a network and times it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tailorbird.latency_tables.device import Configuration, Device

if TYPE_CHECKING:
    from torch import nn

FloatArray = NDArray[np.float64]
Tensors = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """How one round of measuring goes.

    Attributes:
        warmup_ms: time to run before anything counts.
        repeats: samples taken, each in memory of its own.
        repeat_ms: shortest time of one sample; a fast program runs many times in it.
        limit_s: wall clock after which a round has failed.
    """

    warmup_ms: int = 20
    repeats: int = 15
    repeat_ms: int = 3
    limit_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled program."""

    path: Path
    provenance: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """One round of measuring.

    Attributes:
        ms: milliseconds of one run, a value per sample, (n,).
        outputs: what the program computed, in torch's layout.
    """

    ms: FloatArray
    outputs: Tensors


class Runtime(Protocol):
    """Compiles and times; measuring happens in a process of its own that may be killed."""

    def configuration(self, device: Device, batch: int) -> Configuration:
        """What its measurements on a device are comparable by."""

    def compile(self, module: "nn.Module", inputs: Tensors, device: Device) -> Artifact:
        """Compiles a module for inputs of these shapes.

        Raises:
            MeasurementError: if that does not work.
        """

    def measure(self, artifact: Artifact, inputs: Tensors, device: Device) -> Samples:
        """Runs and times a program.

        Raises:
            MeasurementError: if it crashes, hangs or cannot be loaded.
        """

    def close(self) -> None:
        """Ends its processes."""
