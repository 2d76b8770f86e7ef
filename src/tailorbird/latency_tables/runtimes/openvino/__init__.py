"""OpenVINO as a further runtime; nothing outside this package imports it."""

from tailorbird.latency_tables.runtimes.openvino.runtime import OpenVinoRuntime

__all__ = ["OpenVinoRuntime"]
