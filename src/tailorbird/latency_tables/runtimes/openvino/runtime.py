"""OpenVINO as a runtime; its kernels are tuned for processors of Intel's."""

from tailorbird.latency_tables.runtimes.exported import ONNX, ExportedRuntime


class OpenVinoRuntime(ExportedRuntime):
    """Exports to ONNX with torch, and times OpenVINO's CPU plugin in a worker."""

    name = "openvino"
    needs = ("openvino",)
    target = "CPU"
    schedule = "default-1"  # its own kernels; the number is that of our export's graphs
    files = ONNX
