"""Latency of a network as the sum of its workloads'."""

import numpy as np

from tailorbird.latency_tables import LatencyTable
from tailorbird.latency_tables.tables.price import refuse_dear_call
from tailorbird.predictors.latency.inputs import LatencyInputs
from tailorbird.predictors.prediction import Prediction
from tailorbird.spaces import CALL, FloatArray, IntArray, SearchSpace
from tailorbird.spaces.layered import LayeredGraph
from tailorbird.spaces.path_sum import (
    PathValues,
    adder,
    along_workloads,
    refuse_unknown_workloads,
)

_TIMED = "Learn latency from networks that are timed whole, by `InferredSum`"


class TableSum:
    """Adds up a table: counts @ latencies, for means along the paths of a layered space.

    Each workload was measured with the cost of one call; a network is called once. So a network
    takes sum(counts * (t - t_call)) + t_call. Who published a table may have taken the call off
    already, or not: an imported table without a row for it is summed as it is.

    The std adds up how far rounds of measuring lay apart: fully within a workload, whose copies
    share one measurement, and independently between workloads. What adding up itself gets wrong
    is not in it; checking on the device shows that. Rows of an imported table that state no spread
    add nothing to it. Workloads that were predicted, see `complete`, add all of their std, with
    the covariance of their errors if the table has it.

    Args:
        space: of the architectures.
        table: of the device.

    Attributes:
        added_ms: what each workload adds to a network, (n_workloads,).
        call_ms: what its call adds.

    Raises:
        MissingWorkloadError: if the table lacks any workload of the space.
        UnknownWorkloadsError: if the space does not know its workloads.
        PriceError: if its empty program costs more than workloads, which all contain it.
    """

    def __init__(self, space: SearchSpace, table: LatencyTable) -> None:
        refuse_unknown_workloads(space, _TIMED)
        self.space = space
        keys = [workload.key for workload in space.workloads]
        without_call = table.configuration.is_imported and CALL.key not in table.entries
        needed = keys if without_call else [*keys, CALL.key]
        latencies = table.select(needed)
        ms = {key: table.entries[key].median_ms for key in needed}
        refuse_dear_call(ms, table.device, table.configuration.is_imported)
        call = None if without_call else latencies.pop()
        self.call_ms = call.median_ms if call else 0.0
        self._call_std_ms = call.std_ms if call else 0.0
        self._std_ms = np.array([latency.std_ms for latency in latencies])
        self.added_ms = np.array([latency.median_ms for latency in latencies]) - self.call_ms
        self._is_predicted = np.array([latency.is_predicted for latency in latencies])
        self._joint = np.zeros(0, dtype=np.int64)  # workloads whose errors go together
        if table.covariance is not None:
            place = {key: i for i, key in enumerate(table.covariance.keys)}
            self._joint = np.array(
                [i for i, key in enumerate(keys) if key in place], dtype=np.int64
            )
            rows = [place[keys[i]] for i in self._joint]
            self._covariance_ms2 = table.covariance.ms2[np.ix_(rows, rows)]
            self._std_ms[self._joint] = 0.0  # it is in the covariance
        self._sum = adder(space, self.added_ms)

    def __repr__(self) -> str:
        return f"TableSum({self.space!r})"

    def parts_ms(self, X: IntArray) -> FloatArray:
        """What each workload adds to canonical rows (n, d), without calls, (n, n_workloads)."""
        return np.asarray(self.space.count_workloads(X).multiply(self.added_ms).toarray())

    def predict(self, X: IntArray) -> Prediction:
        """Milliseconds for canonical rows (n, d)."""
        counts = self.space.count_workloads(X)
        n_calls = 1 - counts.sum(axis=1)  # each workload's own call is taken off
        variance = counts.power(2) @ np.square(self._std_ms)
        if len(self._joint):
            joint = counts[:, self._joint].toarray()
            variance += np.sum((joint @ self._covariance_ms2) * joint, axis=1)
        return Prediction(self.mean(X), np.sqrt(variance + (n_calls * self._call_std_ms) ** 2))

    def mean(self, X: IntArray) -> FloatArray:
        """The milliseconds alone, (n,)."""
        return self._sum(X) + self.call_ms

    def along(self, graph: LayeredGraph) -> PathValues:
        """The milliseconds that each step adds, and those of the call."""
        return along_workloads(graph, self.added_ms, lambda sums: sums + self.call_ms)

    def predicted_share(self, X: IntArray) -> FloatArray:
        """Fraction of the latency of canonical rows (n, d) that rests on predictions, (n,)."""
        predicted_ms = np.where(self._is_predicted, self.added_ms, 0.0)
        return np.asarray(self.space.count_workloads(X) @ predicted_ms) / self.mean(X)


def table_sum(inputs: LatencyInputs) -> TableSum:
    """The sum of a table; of networks that were timed whole, nothing is learned."""
    return TableSum(inputs.space, inputs.table)
