"""torch without a compiler as a further runtime."""

from tailorbird.latency_tables.eager.runtime import EagerRuntime

__all__ = ["EagerRuntime"]
