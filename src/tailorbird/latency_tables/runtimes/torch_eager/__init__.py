"""torch without a compiler as a further runtime."""

from tailorbird.latency_tables.runtimes.torch_eager.runtime import EagerRuntime

__all__ = ["EagerRuntime"]
