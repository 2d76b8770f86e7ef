"""Apache TVM, the reference runtime; nothing outside this package imports it."""

from tailorbird.latency_tables.tvm.runtime import TvmRuntime

__all__ = ["TvmRuntime"]
