"""A runtime that has each program timed by a command of the user's own."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tailorbird.latency_tables.devices.device import NOWHERE, Device
from tailorbird.latency_tables.runtime import Artifact, Tensors
from tailorbird.latency_tables.runtimes.command.command_line import CommandLine
from tailorbird.latency_tables.runtimes.command.execution import printed_by
from tailorbird.latency_tables.runtimes.command.samples import (
    read_outputs,
    samples_ms,
    write_inputs,
)
from tailorbird.latency_tables.runtimes.exported import ONNX
from tailorbird.latency_tables.runtimes.process.transit import TransitFolder
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.samples import Samples
from tailorbird.spaces import FloatArray

if TYPE_CHECKING:
    from torch import nn


class CommandRuntime:
    """Exports modules to ONNX, and runs a command on each file, wherever that times it.

    Args:
        command: prints milliseconds.
        home: folder in which it runs, and its program is looked for first.
        folder: for files in transit; emptied before its first use.
        limit_s: seconds that one run of it may take.

    Attributes:
        losses: empty: whatever the command cannot reach is a failure of its program.

    Raises:
        DeviceError: if there is no such program.
        MissingPackageError: if what writes ONNX files is not installed.
    """

    name: ClassVar = "command"
    losses: Sequence[str] = ()

    def __init__(self, command: CommandLine, home: Path, folder: Path, limit_s: float) -> None:
        ONNX.require(self.name)
        self._command = command
        self._home = home
        self._program = command.program(home)
        self._checksum = command.checksum(home)
        self._limit_s = limit_s
        self._transit = TransitFolder(folder.absolute())

    def configuration(self, device: Device, batch: int) -> Configuration:
        """Configuration of its measurements: the command, and the content of its script.

        Neither is known of what the script starts elsewhere, so a change there must be told by
        another command.
        """
        checksum = self._checksum
        return Configuration(
            cpu=device.cpu,
            target=str(NOWHERE.cpu),
            threads=device.threads,
            batch=batch,
            runtime=self.name,
            runtime_version="not stated" if checksum is None else f"sha256 {checksum[:16]}",
            schedule=self.name,
            timing=self._command.text,
        )

    def compile(self, module: "nn.Module", inputs: Tensors, device: Device) -> Artifact:
        """Exports a module for inputs of these shapes."""
        artifact = ONNX.export(module, inputs, self._transit.new_path(ONNX.suffix))
        artifact.provenance["n_copies"] = "as the command has it"
        return artifact

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors | None:
        """Runs the command; returns the outputs that it wrote, None if it is not asked for any."""
        if not self._command.gives_outputs:
            return None
        return self._run(artifact, inputs)[1]

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        """Runs the command, which times as it does: copies of the weights are its own affair."""
        return Samples(self._run(artifact, inputs)[0], np.array([]))

    def close(self) -> None:
        """Does nothing: no process outlives a run."""

    def _run(self, artifact: Artifact, inputs: Tensors) -> tuple[FloatArray, Tensors]:
        """Samples in ms, and what the program computed, if the command is asked for it."""
        folder = self._transit.new_path()
        paths = {
            "onnx": artifact.path,
            "inputs": folder / "inputs",
            "outputs": folder / "outputs",
        }
        try:
            if self._command.gives_outputs:
                write_inputs(inputs, paths["inputs"])
                paths["outputs"].mkdir()
            words = [str(self._program), *self._command.filled(paths)[1:]]
            ms = samples_ms(printed_by(words, self._home, self._limit_s))
            return ms, read_outputs(paths["outputs"]) if self._command.gives_outputs else ()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
