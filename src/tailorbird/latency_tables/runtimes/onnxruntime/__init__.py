"""onnxruntime as a second runtime; nothing outside this package imports it or onnx."""

from tailorbird.latency_tables.runtimes.onnxruntime.runtime import OnnxRuntime

__all__ = ["OnnxRuntime"]
