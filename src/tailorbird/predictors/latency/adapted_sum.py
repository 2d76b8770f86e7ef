"""Latency as a sum over workloads, adapted to a device by a few networks timed on it."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from tailorbird.latency_tables import LatencyTable
from tailorbird.predictors.latency.few_shot import FewShotLatency, positive
from tailorbird.predictors.latency.table_pool import TablePool
from tailorbird.predictors.prediction import Prediction
from tailorbird.predictors.sample_checks import check_is_fitted
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.layered import LayeredGraph
from tailorbird.spaces.path_sum import PathValues, adder, along_workloads

_CANDIDATES = 900  # networks drawn, of which some are suggested


class AdaptedSum:
    """Transfers tables of known devices to a new one, see `FewShotLatency`.

    Args:
        space: of the networks.
        tables: of other devices, each with all workloads of the space.

    Attributes:
        candidates: networks that may be suggested, (n, d).
        workload_ms_: what each workload adds to a network on the new device, (n_workloads,), unless
            it is extrapolated.
        constant_ms_: likewise, what is added to every network.

    Raises:
        MissingWorkloadError: if a table lacks a workload.
        ValueError: if there is no table, or by one all networks take as long.
    """

    def __init__(self, space: SearchSpace, tables: Sequence[LatencyTable]) -> None:
        if not tables:
            raise ValueError("Tables of at least one other device are needed, but got none.")
        self.space = space
        drawn = space.sample(_CANDIDATES, np.random.default_rng(0))
        self.candidates = np.unique(np.vstack([space.landmarks, drawn]), axis=0)
        self._pool = TablePool(space, tables, self.candidates)
        self._few_shot = FewShotLatency(self.candidates, self._pool.pool_ms, self._pool)

    def __repr__(self) -> str:
        return f"AdaptedSum({self.space!r})"

    def suggest(self, n: int) -> IntArray:
        """The candidates (n, d) that are most worth timing, best first, always the same ones.

        Raises:
            ValueError: if n is less than 1 or more than there are.
        """
        return np.asarray(self.candidates[self._few_shot.suggest(self.candidates, n)])

    def fit(self, X: IntArray, y_ms: FloatArray) -> Self:
        """Learns from latencies y_ms (s,) of networks X (s, d); 3 to 50 are meant.

        Raises:
            ValueError: if there are fewer than 3, or they are not finite and positive or all the
                same.
        """
        self._few_shot.fit(X, y_ms)
        added, rest = self._pool.sum_of(self._few_shot.mixture_.line)
        self.workload_ms_ = self._few_shot.unit_ms_ * added
        self.constant_ms_ = self._few_shot.unit_ms_ * rest
        self._sum = adder(self.space, self.workload_ms_)
        return self

    def predict(self, X: IntArray) -> Prediction:
        """Milliseconds for canonical rows (n, d), the noise of measuring them included."""
        return self._few_shot.predict(X)

    def mean(self, X: IntArray) -> FloatArray:
        """The milliseconds alone, (n,).

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        return self._response(self._sum(X))

    def along(self, graph: LayeredGraph) -> PathValues:
        """The milliseconds that each step adds, and those of every network.

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        return along_workloads(graph, self.workload_ms_, self._response)

    def _response(self, sums: FloatArray) -> FloatArray:
        return positive(sums + self.constant_ms_, self._few_shot.least_ms_)

    def left_out(self) -> Prediction:
        """Milliseconds for each network that was timed, as the others predict it, (s,)."""
        return self._few_shot.left_out()
