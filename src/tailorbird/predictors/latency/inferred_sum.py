"""Latency as a sum over workloads that are inferred from whole networks."""

from functools import cached_property
from typing import Self

import numpy as np
from scipy.linalg import block_diag

from tailorbird.predictors import conformal, cross_validation
from tailorbird.predictors.choices import ChoiceSum, centred_ranks, one_hot
from tailorbird.predictors.gaussian_process import ComponentProcess
from tailorbird.predictors.latency.few_shot import LEAST, extrapolated, positive
from tailorbird.predictors.latency.inputs import LatencyInputs
from tailorbird.predictors.latency.workload_similarity import WorkloadSimilarity, matern
from tailorbird.predictors.prediction import Prediction
from tailorbird.predictors.sample_checks import check, check_is_fitted
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.footprint import costs
from tailorbird.spaces.layered import LayeredGraph
from tailorbird.spaces.path_sum import PathValues, adder, along_workloads

FEWEST = 10
"""Networks that must have been timed."""

_LENGTHS = (1.0, 3.0)  # between workloads that cost much alike, where their spread is 1
_SMALLEST = 1e-12  # variance of what is the same in all networks but for rounding
_LOWEST = 0.05  # of the mean latency: below that, noise is no longer in proportion


class InferredSum:
    """Infers what each workload adds to a network from the latencies of whole networks.

    There may be as many workloads as networks that anyone would time, so their costs are not
    fitted freely. Each is a sum of what all workloads of its op cost, a constant and a part in
    proportion to its multiply-adds and parameters; of what it has in common with workloads like
    it; and of what is its own. The last two may be as large for all, grow with the root of the
    multiply-adds, or with the multiply-adds. Which of these matter on a device, networks tell, see
    `ComponentProcess`. Besides, each choice of a variable may add something, such as an operator
    that is slower in one place than in another. Noise is in proportion to latency. Where a space
    leaves its workloads open, choices alone add up: what each does on its own, and where those of a
    variable read as numbers, a part in proportion to their rank.

    Sums may fall to 0 and below in networks that are much faster than all that were timed; these
    are extrapolated as in `FewShotLatency`, and marked.

    Stds are calibrated on networks that were left out in five folds, so that nine in ten 90 %
    intervals hold the latency of a network as it would be measured.

    Args:
        space: of the architectures.

    Attributes:
        workload_ms_: what each workload adds to a network, (n_workloads,); what all networks
            have in common cannot be told apart and is in the mean.
        least_ms_: milliseconds below which a sum is extrapolated.

    References:
        Rasmussen, Williams: Gaussian Processes for Machine Learning, section 2.7. MIT Press 2006.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    def __repr__(self) -> str:
        return f"InferredSum({self.space!r})"

    def fit(self, X: IntArray, y_ms: FloatArray) -> Self:
        """Learns from latencies y_ms (n,) of canonical rows X (n, d).

        Raises:
            ValueError: if there are fewer than ten, rows or latencies do not vary, or latencies are
                not positive.
        """
        check(X, y_ms, FEWEST)
        if (y_ms <= 0).any():
            raise ValueError(f"Latencies must be positive, but got {y_ms.min()}. Leave it out.")
        order = np.lexsort((y_ms, *X.T))  # so that folds do not depend on the order of the rows
        X, y_ms = X[order], y_ms[order]
        uses = self._uses(X)
        self._centre, self._mean_ms = uses.mean(axis=0), float(y_ms.mean())
        self._seen = uses - self._centre
        scaled = [self._seen @ kernel @ self._seen.T for kernel in self._kernels]
        sizes = np.array([np.trace(K) / len(y_ms) for K in scaled])
        matter = np.flatnonzero(sizes > _SMALLEST)
        if not len(matter):
            raise ValueError(
                f"`X` must vary, but all {len(X)} rows are {X[0].tolist()}. Time other networks."
            )
        K = np.array([scaled[j] / sizes[j] for j in matter])
        self._process = ComponentProcess().fit(K, y_ms, y_ms / self._mean_ms)
        self._factor = conformal.scale(self._left_out(K, y_ms), y_ms)
        shares = self._process.variances_ / sizes[matter]
        self._kernel = np.tensordot(shares, np.array(self._kernels)[matter], 1)
        effects = self._kernel @ self._seen.T @ self._process.dual_
        self.workload_ms_, choice_ms = np.split(effects, [len(self.space.workloads)])
        self.least_ms_ = LEAST * float(y_ms.min())
        self._constant_ms = self._process.constant_ - float(self._centre @ effects)
        self._workload_sum = adder(self.space, self.workload_ms_)
        self._choice_sum = ChoiceSum(self.space, choice_ms)
        return self

    def predict(self, X: IntArray) -> Prediction:
        """Milliseconds for canonical rows (n, d), the noise of measuring them included.

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        uses = self._uses(X) - self._centre
        half = uses @ self._kernel
        found = _with_noise(
            self._process, half @ self._seen.T, np.sum(half * uses, axis=1), self._mean_ms
        )
        return extrapolated(found.widened(self._factor), self.least_ms_)

    def mean(self, X: IntArray) -> FloatArray:
        """The milliseconds alone, (n,).

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        return self._response(self._workload_sum(X) + self._choice_sum.mean(X))

    def _response(self, sums: FloatArray) -> FloatArray:
        return positive(sums + self._constant_ms, self.least_ms_)

    def along(self, graph: LayeredGraph) -> PathValues:
        """The milliseconds that each step adds, and those of every network.

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        steps = along_workloads(graph, self.workload_ms_)
        own = self._choice_sum.along(graph)
        edges = tuple(map(np.add, steps.edges, own.edges))
        return PathValues(edges, steps.final, self._response)

    def _left_out(self, K: FloatArray, y_ms: FloatArray) -> Prediction:
        """Each network as predicted from those of the other folds."""

        def predict(rest: IntArray, out: IntArray) -> tuple[FloatArray, FloatArray]:
            process = ComponentProcess().fit(
                K[:, rest][:, :, rest], y_ms[rest], y_ms[rest] / self._mean_ms, self._process
            )
            across = np.tensordot(process.variances_, K[:, out][:, :, rest], 1)
            own = process.variances_ @ K[:, out, out]
            predicted = _with_noise(process, across, own, self._mean_ms)
            return predicted.mean, predicted.std

        return cross_validation.left_out(cross_validation.five_folds(len(y_ms)), predict)

    def _uses(self, X: IntArray) -> FloatArray:
        """Counts of workloads and, one by one, the choices of variables, (n, p)."""
        counts = self.space.count_workloads(X).toarray()
        return np.hstack([counts, one_hot(self.space.variables, X)])

    @cached_property
    def _kernels(self) -> list[FloatArray]:
        """Prior covariances of what each use adds, (p, p) each, up to a factor."""
        variables, workloads = self.space.variables, self.space.workloads
        if not workloads:
            ranked = [np.outer(ranks, ranks) for ranks in map(centred_ranks, variables)]
            return [np.eye(sum(map(len, ranked))), block_diag(*ranked)]
        macs_and_params = costs(workloads)
        macs, params = (macs_and_params / np.maximum(macs_and_params.max(axis=0), 1)).T
        ops = np.array([workload.op for workload in workloads])
        same_op = (ops[:, None] == ops).astype(np.float64)
        points = WorkloadSimilarity(workloads).points(workloads)
        alike = [np.eye(len(ops)), *(matern(points, points, length) for length in _LENGTHS)]
        sizes = [np.ones(len(ops)), np.sqrt(macs), macs]
        of_workloads = [np.outer(size, size) * same_op for size in (sizes[0], macs, params)]
        of_workloads += [np.outer(size, size) * like for size in sizes for like in alike]
        n_choices = sum(len(variable.choices) for variable in variables)
        none = np.zeros((n_choices, n_choices))
        kernels = [block_diag(kernel, none) for kernel in of_workloads]
        return [*kernels, block_diag(np.zeros_like(same_op), np.eye(n_choices))]


def _with_noise(
    process: ComponentProcess, cross: FloatArray, own: FloatArray, mean_ms: float
) -> Prediction:
    """Networks (k,) with noise in proportion to their latency."""
    scale = np.maximum(process.mean(cross) / mean_ms, _LOWEST)
    return process.predict(cross, own, scale)


def inferred_sum(inputs: LatencyInputs) -> InferredSum:
    """The sum over workloads that networks timed whole tell; the table is of no use."""
    return InferredSum(inputs.space).fit(inputs.X, inputs.y_ms)
