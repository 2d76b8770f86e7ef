"""How latency is measured and kept: devices, runtimes, the profiler, the store and tables."""

from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.profiling.profiler import Profiler
from tailorbird.latency_tables.program import Program
from tailorbird.latency_tables.runtime import Artifact, Runtime, Timing
from tailorbird.latency_tables.store.store import Store
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.record import Record
from tailorbird.latency_tables.tables.samples import Samples
from tailorbird.latency_tables.tables.table import Latency, LatencyTable

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
