"""Apache TVM, the reference runtime; nothing outside this package imports it."""

from tailorbird.errors import require

require("tvm", "torch", extra="tvm")  # by name, before Python fails at an import below

from tailorbird.latency_tables.runtimes.tvm.runtime import TvmRuntime  # noqa: E402

__all__ = ["TvmRuntime"]
