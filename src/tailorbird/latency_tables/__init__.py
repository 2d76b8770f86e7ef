"""How latency is measured and kept: devices, runtimes, the profiler, the store and tables."""

from tailorbird.latency_tables.configuration import Configuration
from tailorbird.latency_tables.device import Device
from tailorbird.latency_tables.profiler import Profiler
from tailorbird.latency_tables.program import Program
from tailorbird.latency_tables.record import Record
from tailorbird.latency_tables.runtime import Artifact, Runtime, Timing
from tailorbird.latency_tables.samples import Samples
from tailorbird.latency_tables.store import Store
from tailorbird.latency_tables.table import Latency, LatencyTable

__all__ = [
    "Artifact",
    "Configuration",
    "Device",
    "Latency",
    "LatencyTable",
    "Profiler",
    "Program",
    "Record",
    "Runtime",
    "Samples",
    "Store",
    "Timing",
]
