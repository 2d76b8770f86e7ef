"""Latency of workloads that were never measured, from that of others."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import TooFewNeighboursError
from tailorbird.predictors import conformal, cross_validation
from tailorbird.predictors.gaussian_process import ComponentProcess
from tailorbird.predictors.latency.workload_similarity import WorkloadSimilarity, matern
from tailorbird.predictors.prediction import Prediction
from tailorbird.predictors.sample_checks import check, check_is_fitted
from tailorbird.spaces import FloatArray, IntArray, Workload

FEWEST = 5
"""Measured workloads of an op, below which none of that op is predicted."""

_LENGTHS = (1.0, 3.0, 9.0)  # between workloads that cost much alike, where their spread is 1


class WorkloadLatency:
    """Predicts workloads by a Gaussian process over what they compute, see `WorkloadSimilarity`.

    The logarithm of a latency is linear in the logarithms of multiply-adds, parameters,
    attributes and sizes, plus what workloads that are alike have in common, and those with inputs
    of one shape.

    Stds are calibrated for each op on its own, on workloads that were left out in five folds, so
    that nine in ten 90 % intervals hold the latency of a workload. In sums it is the variance that
    counts, to which the rare large errors add more, and errors of workloads that are alike go
    together: so `joint` has the covariance of the process, with variances as those errors had.

    Attributes:
        n_neighbours_: measured workloads by op.
        factors_: by which stds of an op are widened, for a workload and for sums.

    References:
        Rasmussen, Williams: Gaussian Processes for Machine Learning, section 2.7. MIT Press 2006.
    """

    def fit(self, workloads: Sequence[Workload], latencies_ms: FloatArray) -> Self:
        """Learns from measured workloads.

        Args:
            workloads: distinct ones.
            latencies_ms: theirs, (n,).

        Raises:
            ValueError: if there are fewer than five, latencies are all the same, not positive, or
                of another number.
        """
        check(np.zeros((len(workloads), 1), dtype=np.int64), latencies_ms, FEWEST)
        if (latencies_ms <= 0).any():
            raise ValueError(
                f"Latencies must be positive, but got {latencies_ms.min()}. Measure it again."
            )
        keys = [workload.key for workload in workloads]
        if len(set(keys)) < len(keys):
            twice = Counter(keys).most_common(1)[0][0]
            raise ValueError(f"Workloads must be distinct, but {twice} is there twice.")
        order = np.argsort(keys)  # so that folds do not depend on the order of the workloads
        known = [workloads[i] for i in order]
        y_ms = latencies_ms[order]
        self._similarity, self._known = WorkloadSimilarity(known), known
        K = self._kernels(known, known)
        self._process = ComponentProcess().fit(K, np.log(y_ms), np.ones(len(y_ms)))
        left_out = self._left_out(K, y_ms)
        ops = np.array([workload.op for workload in known])
        self.n_neighbours_ = Counter(ops.tolist())
        self.factors_ = {
            op: _factors(left_out, y_ms, ops == op)
            for op, n in self.n_neighbours_.items()
            if n >= FEWEST
        }
        return self

    def predict(self, workloads: Sequence[Workload]) -> Prediction:
        """Milliseconds, all of them positive.

        Raises:
            NotFittedError: before `fit`.
            TooFewNeighboursError: if fewer than five workloads of an op were measured.
        """
        return self.joint(workloads)[0]

    def joint(self, workloads: Sequence[Workload]) -> tuple[Prediction, FloatArray]:
        """Milliseconds (n,), and for sums the covariance of their errors, (n, n), in their square.

        Raises:
            NotFittedError: before `fit`.
            TooFewNeighboursError: if fewer than five workloads of an op were measured.
        """
        check_is_fitted(self)
        refuse_few_neighbours(workloads, self.n_neighbours_)
        shares = self._process.variances_
        cross = np.tensordot(shares, self._kernels(workloads, self._known), 1)
        own = np.tensordot(shares, self._kernels(workloads, workloads), 1)
        ms = np.exp(self._process.mean(cross))
        covariance = self._process.covariance(cross, own, np.ones(len(ms)))
        factors = np.array([self.factors_[workload.op] for workload in workloads])
        alone, in_sums = (ms[:, None] * factors).T
        return (
            Prediction(ms, alone * np.sqrt(np.diag(covariance))),
            covariance * np.outer(in_sums, in_sums),
        )

    def _kernels(self, some: Sequence[Workload], others: Sequence[Workload]) -> FloatArray:
        """Covariances of logarithms in each component, (m, len(some), len(others))."""
        A, B = (self._similarity.points(workloads) for workloads in (some, others))
        shapes = [np.array([str(w.inputs) for w in workloads]) for workloads in (some, others)]
        same = (shapes[0][:, None] == shapes[1]).astype(np.float64)
        return np.array([A @ B.T, *(matern(A, B, length) for length in _LENGTHS), same])

    def _left_out(self, K: FloatArray, y_ms: FloatArray) -> Prediction:
        """Each workload as predicted from those of the other folds, in milliseconds."""

        def predict(rest: IntArray, out: IntArray) -> tuple[FloatArray, FloatArray]:
            process = ComponentProcess().fit(
                K[:, rest][:, :, rest], np.log(y_ms[rest]), np.ones(len(rest)), self._process
            )
            shares = process.variances_
            cross = np.tensordot(shares, K[:, out][:, :, rest], 1)
            logarithm = process.predict(cross, shares @ K[:, out, out], np.ones(len(out)))
            mean_ms = np.exp(logarithm.mean)
            return mean_ms, mean_ms * logarithm.std

        return cross_validation.left_out(cross_validation.five_folds(len(y_ms)), predict)


def refuse_few_neighbours(workloads: Sequence[Workload], n_measured: Mapping[str, int]) -> None:
    """Refuses workloads of an op of which too few others were measured.

    Args:
        workloads: to be predicted.
        n_measured: workloads by op.

    Raises:
        TooFewNeighboursError: naming the first such op.
    """
    for op in dict.fromkeys(workload.op for workload in workloads):
        n = n_measured.get(op, 0)
        if n < FEWEST:
            missing = [workload.key for workload in workloads if workload.op == op]
            raise TooFewNeighboursError(missing, op, n, FEWEST)


def _factors(
    left_out: Prediction, y_ms: FloatArray, of_op: NDArray[np.bool_]
) -> tuple[float, float]:
    """Factors by which the stds of an op are widened, for a workload and for sums."""
    own = Prediction(left_out.mean[of_op], left_out.std[of_op])
    z = (y_ms[of_op] - own.mean) / own.std
    return conformal.scale(own, y_ms[of_op]), float(np.sqrt(np.mean(z**2)))
