"""Base of the runtimes that read files which torch exports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from tailorbird.errors import MeasurementError, raising, require
from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.runtime import Artifact, Tensors, Timing
from tailorbird.latency_tables.runtimes.process.workbench import Workbench
from tailorbird.latency_tables.runtimes.timing_protocol import PROTOCOL
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.samples import Samples

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A kind of file that torch writes and runtimes read.

    Attributes:
        suffix: of its files.
        needs: packages that write it, besides torch.
        write: writes a module in evaluation mode, for inputs of the shapes of examples, to a path;
            gives what tells how, for a row's provenance.
    """

    suffix: str
    needs: tuple[str, ...]
    write: Callable[["nn.Module", "tuple[Tensor, ...]", Path], Mapping[str, str]]

    def require(self, runtime: str, *packages: str, extra: str = "") -> None:
        """Refuses to go on without what writes its files.

        Args:
            runtime: that reads them.
            packages: that the runtime needs besides.
            extra: that installs all; of the name of the runtime if empty.

        Raises:
            MissingPackageError: if any is not installed.
        """
        require(
            *packages,
            *self.needs,
            "torch",
            purpose=f"Measuring with the runtime {runtime!r}",
            extra=extra or runtime,
        )

    def export(self, module: "nn.Module", inputs: Tensors, path: Path) -> Artifact:
        """Writes a module for inputs of these shapes to a path.

        Raises:
            MeasurementError: if torch cannot.
        """
        import torch

        reason = f"torch could not export it to {self.suffix}"
        with raising(partial(MeasurementError.of, reason)):
            provenance = self.write(module, tuple(map(torch.from_numpy, inputs)), path)
        return Artifact(path, dict(provenance))


def _write_onnx(module: "nn.Module", inputs: "tuple[Tensor, ...]", path: Path) -> Mapping[str, str]:
    from tailorbird.export.onnx import export

    return export(module, inputs, path)


ONNX = ExportFormat(".onnx", ("onnx", "onnxscript"), _write_onnx)
"""ONNX files, which onnxruntime, OpenVINO and most tools of devices read."""


class ExportedRuntime:
    """Exports modules with torch, and times them in a worker; a subclass sets the attributes.

    Args:
        folder: for files in transit; emptied before its first use.
        timing: how a round goes.

    Attributes:
        name: that recipes know it by; also that of its package.
        extra: that installs it; of its name if empty.
        needs: packages, besides torch and those that write its files.
        target: that its kernels are for.
        schedule: part of a measurement's configuration.
        files: that it reads.

    Raises:
        MissingPackageError: if what it needs is not installed.
    """

    name: ClassVar[str]
    extra: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    target: ClassVar[str]
    schedule: ClassVar[str]
    files: ClassVar[ExportFormat]

    def __init__(self, folder: Path, timing: Timing) -> None:
        self.files.require(self.name, *self.needs, extra=self.extra)
        room = type(self).__module__.rpartition(".")[0]
        self._bench = Workbench(f"{room}.timer", folder, timing)

    @classmethod
    def on(cls, device: Device, folder: Path, timing: Timing, tuning: object) -> Self:
        """The runtime for a device of this machine; its kernels are not tuned."""
        return cls(folder, timing)

    def configuration(self, device: Device, batch: int) -> Configuration:
        """Configuration of its measurements on a device: what makes them comparable."""
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
        return self.files.export(module, inputs, self._bench.new_path(self.files.suffix))

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors:
        """Runs a program once; returns its outputs."""
        return self._bench.run(artifact, inputs, device)

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        """Times a program that takes turns with copies of its weights."""
        return self._bench.measure(artifact, inputs, device, n_copies)

    @property
    def losses(self) -> Sequence[str]:
        """Empty: this machine is never lost."""
        return ()

    def close(self) -> None:
        """Ends the worker; the next measurement starts another."""
        self._bench.close()
