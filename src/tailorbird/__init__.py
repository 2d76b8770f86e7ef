"""Hardware-aware architecture search on latency that was measured, and checked, on the device."""

__version__ = "0.2.0"
