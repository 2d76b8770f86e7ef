"""Latency of a network as the sum of its workloads'."""

import numpy as np

from tailorbird.latency_tables import LatencyTable
from tailorbird.predictors.prediction import FloatArray, Prediction
from tailorbird.spaces import CALL, IntArray, SearchSpace


class TableSum:
    """Adds up a table: one sparse product, counts @ latencies.

    Each workload was measured with the cost of one call; a network is called once. So a network
    takes sum(counts * (t - t_call)) + t_call.

    The std adds up how far rounds of measuring lay apart: fully within a workload, whose copies
    share one measurement, and independently between workloads. What adding up itself gets wrong
    is not in it; checking on the device shows that.

    Args:
        space: of the architectures.
        table: of the device.

    Raises:
        MissingWorkloadError: if the table lacks any workload of the space.
    """

    def __init__(self, space: SearchSpace, table: LatencyTable) -> None:
        self.space = space
        latencies = table.select([w.key for w in (*space.workloads, CALL)])
        *self._median_ms, self._call_ms = (latency.median_ms for latency in latencies)
        *self._std_ms, self._call_std_ms = (latency.std_ms for latency in latencies)

    def parts_ms(self, X: IntArray) -> FloatArray:
        """What each workload adds to canonical rows (n, d), without calls, (n, n_workloads)."""
        each = np.array(self._median_ms) - self._call_ms
        return np.asarray(self.space.count_workloads(X).multiply(each).toarray())

    def predict(self, X: IntArray) -> Prediction:
        """Milliseconds for canonical rows (n, d)."""
        counts = self.space.count_workloads(X)
        mean = counts @ (np.array(self._median_ms) - self._call_ms) + self._call_ms
        n_calls = 1 - counts.sum(axis=1)  # each workload's own call is taken off
        variance = counts.power(2) @ np.square(self._std_ms)
        return Prediction(mean, np.sqrt(variance + (n_calls * self._call_std_ms) ** 2))
