"""onnxruntime, which shows whether a front survives another runtime."""

from tailorbird.latency_tables.runtimes.exported import ONNX, ExportedRuntime


class OnnxRuntime(ExportedRuntime):
    """Exports to ONNX with torch, and times onnxruntime's CPU kernels in a worker."""

    name = "onnxruntime"
    needs = ("onnxruntime",)
    target = "CPUExecutionProvider"
    schedule = "default-1"  # its own kernels; the number is that of our export's graphs
    files = ONNX
