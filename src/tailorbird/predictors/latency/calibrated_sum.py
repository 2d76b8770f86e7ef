"""The sum of a table, corrected by networks that were measured whole."""

from typing import Self

import numpy as np

from tailorbird.predictors.latency.inputs import LatencyInputs
from tailorbird.predictors.latency.table_sum import TableSum
from tailorbird.predictors.prediction import Prediction
from tailorbird.predictors.sample_checks import check_is_fitted
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.layered import LayeredGraph
from tailorbird.spaces.path_sum import PathValues, adder, along_workloads

_PRIOR_STD = 0.05  # relative; sums of blocks timed alone were found 5 to 7 % off
_SMALLEST_NOISE = 0.005  # relative; no two rounds agree better than that


class CalibratedSum:
    """Adds up a table whose workloads are corrected by whole networks.

    Each workload costs a few per cent more or less in a network than alone: its neighbours decide
    what is in the cache when it starts, and how far its weights are. So every workload has a
    correction of its own, t * (1 + d), with d normal around zero; whole networks that were
    measured tell the corrections of what they are made of, and what they do not hold stays as it
    was. Errors count relative to the latency of their network.

    Args:
        table_sum: to correct.

    References:
        Bishop: Pattern Recognition and Machine Learning, section 3.3. Springer 2006.
    """

    def __init__(self, table_sum: TableSum) -> None:
        self.table_sum = table_sum

    def __repr__(self) -> str:
        return f"CalibratedSum({self.table_sum!r})"

    def fit(self, X: IntArray, y_ms: FloatArray, std_ms: FloatArray) -> Self:
        """Learns from canonical rows X (n, d).

        Args:
            X: architectures.
            y_ms: their measured latencies, (n,).
            std_ms: how sure those are, (n,).
        """
        parts = self.table_sum.parts_ms(X)
        predicted = self.table_sum.mean(X)
        fractions = parts / y_ms[:, None]
        noise = np.maximum(std_ms / y_ms, _SMALLEST_NOISE)
        weighted = fractions / noise[:, None]
        precision = weighted.T @ weighted + np.eye(parts.shape[1]) / _PRIOR_STD**2
        self.covariance_ = np.linalg.inv(precision)
        self.correction_ = self.covariance_ @ weighted.T @ ((y_ms - predicted) / y_ms / noise)
        self.workload_ms_ = self.table_sum.added_ms * (1 + self.correction_)
        self.sum_ = adder(self.table_sum.space, self.workload_ms_)
        return self

    def predict(self, X: IntArray) -> Prediction:
        """Milliseconds for canonical rows (n, d).

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        parts = self.table_sum.parts_ms(X)
        mean = self.mean(X)
        variance = np.einsum("ni,ij,nj->n", parts, self.covariance_, parts)
        return Prediction(mean, np.sqrt(variance + (_SMALLEST_NOISE * mean) ** 2))

    def mean(self, X: IntArray) -> FloatArray:
        """The milliseconds alone, (n,).

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        return self.sum_(X) + self.table_sum.call_ms

    def along(self, graph: LayeredGraph) -> PathValues:
        """The milliseconds that each step adds, and those of the call.

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        return along_workloads(graph, self.workload_ms_, lambda sums: sums + self.table_sum.call_ms)


def calibrated_sum(inputs: LatencyInputs) -> CalibratedSum:
    """The sum of a table, corrected by all networks that were timed whole."""
    table_sum = TableSum(inputs.space, inputs.table)
    return CalibratedSum(table_sum).fit(inputs.X, inputs.y_ms, inputs.std_ms)
