"""OpenVINO, whose kernels know the processors of one maker best."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.latency_tables.runtimes.exported import ExportedRuntime

if TYPE_CHECKING:
    from torch import Tensor, nn


class OpenVinoRuntime(ExportedRuntime):
    """Exports to ONNX with torch, and times OpenVINO's CPU plugin in a worker."""

    name = "openvino"
    needs = ("openvino", "onnx", "onnxscript")
    target = "CPU"
    schedule = "default-1"  # its own kernels; the number is that of our export's graphs
    suffix = ".onnx"

    def export(
        self, module: "nn.Module", inputs: "tuple[Tensor, ...]", path: Path
    ) -> Mapping[str, str]:
        """Writes an ONNX file."""
        from tailorbird.export.onnx import export

        return export(module, inputs, path)
