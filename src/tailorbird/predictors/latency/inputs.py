"""Inputs that every latency predictor is made from."""

from dataclasses import dataclass

from tailorbird.latency_tables import LatencyTable
from tailorbird.spaces import FloatArray, IntArray, SearchSpace


@dataclass(frozen=True, slots=True, eq=False)
class LatencyInputs:
    """What was measured of the networks of a space on one device.

    Attributes:
        space: of the networks.
        table: latencies of workloads, all of those of the space if the predictor needs them.
        X: canonical rows of networks that were timed whole, (n, d); n is 0 if none was asked for.
        y_ms: their latencies, (n,).
        std_ms: standard deviations of those, (n,).
    """

    space: SearchSpace
    table: LatencyTable
    X: IntArray
    y_ms: FloatArray
    std_ms: FloatArray
