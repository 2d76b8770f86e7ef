"""Commands of users' own as a runtime: they time ONNX files anywhere, and print milliseconds."""

from tailorbird.latency_tables.runtimes.command.runtime import CommandRuntime

__all__ = ["CommandRuntime"]
