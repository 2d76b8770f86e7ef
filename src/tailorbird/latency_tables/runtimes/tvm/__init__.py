"""Apache TVM, the reference runtime; nothing outside this package imports it."""

from tailorbird.latency_tables.runtimes.tvm.runtime import TvmRuntime

__all__ = ["TvmRuntime"]
