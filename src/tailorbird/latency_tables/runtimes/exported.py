"""Runtimes that read files which torch exports, and differ by little else."""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from tailorbird.errors import MeasurementError, RecipeError, raising
from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.runtime import Artifact, Tensors, Timing
from tailorbird.latency_tables.runtimes.process.workbench import Workbench
from tailorbird.latency_tables.runtimes.timing_protocol import PROTOCOL
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.samples import Samples

if TYPE_CHECKING:
    from torch import Tensor, nn


class ExportedRuntime(ABC):
    """Exports with torch, and times in a worker.

    Args:
        folder: for files in transit; emptied before its first use.
        timing: how a round goes.

    Attributes:
        name: that recipes know it by; also that of its package, and of the extra that installs it.
        needs: packages, besides torch.
        target: that its kernels are for.
        schedule: part of a measurement's configuration.
        suffix: of its files.

    Raises:
        RecipeError: if what it needs is not installed.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    target: ClassVar[str]
    schedule: ClassVar[str]
    suffix: ClassVar[str]

    def __init__(self, folder: Path, timing: Timing) -> None:
        for package in self.needs:
            if importlib.util.find_spec(package) is None:
                raise RecipeError(
                    f"[latency] runtime {self.name!r} needs the package {package!r}, which is not "
                    f"installed. Install it with `pip install 'tailorbird[{self.name}]'`."
                )
        room = type(self).__module__.rpartition(".")[0]
        self._bench = Workbench(f"{room}.timer", folder, timing)

    @classmethod
    def on(cls, device: Device, folder: Path, timing: Timing, tuning: object) -> Self:
        """The runtime for a device of this machine; its kernels are not tuned."""
        return cls(folder, timing)

    @abstractmethod
    def export(
        self, module: "nn.Module", inputs: "tuple[Tensor, ...]", path: Path
    ) -> Mapping[str, str]:
        """Writes a module in evaluation mode; gives what tells how, for a row's provenance."""

    def configuration(self, device: Device, batch: int) -> Configuration:
        """What its measurements on a device are comparable by."""
        return Configuration(
            cpu=device.cpu,
            target=self.target,
            threads=device.threads,
            batch=batch,
            runtime=self.name,
            runtime_version=version(self.name),
            schedule=self.schedule,
            timing=PROTOCOL,
        )

    def compile(self, module: "nn.Module", inputs: Tensors, device: Device) -> Artifact:
        """Exports a module for inputs of these shapes."""
        import torch

        path = self._bench.new_path(self.suffix)
        reason = f"torch could not export it to {path.suffix}"
        with raising(partial(MeasurementError.of, reason)):
            told = self.export(module, tuple(map(torch.from_numpy, inputs)), path)
        return Artifact(path, dict(told))

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors:
        """What a program computes."""
        return self._bench.run(artifact, inputs, device)

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        """Times a program that takes turns with copies of its weights."""
        return self._bench.measure(artifact, inputs, device, n_copies)

    @property
    def losses(self) -> Sequence[str]:
        """None: this machine does not go away."""
        return ()

    def close(self) -> None:
        """Ends the worker; the next measurement starts another."""
        self._bench.close()
