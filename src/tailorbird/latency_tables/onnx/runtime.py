"""onnxruntime, which shows whether a front survives another runtime."""

import importlib.util
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.errors import MeasurementError, RecipeError
from tailorbird.latency_tables.device import Configuration, Device
from tailorbird.latency_tables.runtime import Artifact, Samples, Tensors, Timing
from tailorbird.latency_tables.sampling import PROTOCOL
from tailorbird.latency_tables.workbench import Workbench

if TYPE_CHECKING:
    from torch import nn

SCHEDULE = "default-1"
"""onnxruntime's own kernels; the number is that of our export, raised when its graphs change."""


class OnnxRuntime:
    """Exports to ONNX with torch, and times onnxruntime's CPU kernels in a worker.

    Args:
        folder: for files in transit; emptied before its first use.
        timing: how a round goes.

    Raises:
        RecipeError: if onnxruntime is not installed.
    """

    def __init__(self, folder: Path, timing: Timing) -> None:
        for package in ("onnxruntime", "onnx", "onnxscript"):
            if importlib.util.find_spec(package) is None:
                raise RecipeError(
                    f"[latency] runtime 'onnxruntime' needs the package {package!r}, which is not "
                    "installed. Install it with `pip install 'tailorbird[onnxruntime]'`."
                )
        self._bench = Workbench("tailorbird.latency_tables.onnx.timer", folder, timing)

    def configuration(self, device: Device, batch: int) -> Configuration:
        """What its measurements on a device are comparable by."""
        return Configuration(
            cpu=device.cpu,
            target="CPUExecutionProvider",
            threads=device.threads,
            batch=batch,
            runtime="onnxruntime",
            runtime_version=version("onnxruntime"),
            schedule=SCHEDULE,
            timing=PROTOCOL,
        )

    def compile(self, module: "nn.Module", inputs: Tensors, device: Device) -> Artifact:
        """Exports a module for inputs of these shapes."""
        import torch

        from tailorbird.latency_tables.onnx.export import OPSET, export

        path = self._bench.new_path(".onnx")
        try:
            export(module, tuple(map(torch.from_numpy, inputs)), path)
        except Exception as error:  # whatever an exporter raises becomes the row's reason
            raise MeasurementError.of("torch could not export it to ONNX", error) from error
        return Artifact(path, {"exporter": f"torch {torch.__version__}, opset {OPSET}"})

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors:
        """What a program computes."""
        return self._bench.run(artifact, inputs, device)

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        """Times a program that takes turns with sessions, each with weights of its own."""
        return self._bench.measure(artifact, inputs, device, n_copies)

    def close(self) -> None:
        """Ends the worker; the next measurement starts another."""
        self._bench.close()
