"""Latency on a device on which only a handful of networks were timed."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from tailorbird.latency_tables import LatencyTable
from tailorbird.predictors import conformal
from tailorbird.predictors.device_mixture import DeviceMixture
from tailorbird.predictors.genes import Counts, Genes, OneHot
from tailorbird.predictors.pool import Pool
from tailorbird.predictors.prediction import FloatArray, Prediction
from tailorbird.predictors.table_sum import TableSum
from tailorbird.predictors.targets import as_rows, check
from tailorbird.spaces import IntArray, SearchSpace

_FEWEST = 3
_KNOWN = 900  # architectures that tables are summed for
_OWN, _NOISE = 0.2, 0.1  # as a new device is thought of before anything was timed
_COPY, _DISTINCT = 0.9999, 3  # correlation of one device listed twice
_HELD_OUT = 200  # architectures per device that calibrate the stds


class FewShotLatency:
    """Transfers latencies of known devices to a new one.

    Before anything is timed, a new device is thought to be like one that is known, see
    `DeviceMixture`. Stds are calibrated by leaving each known device out: with as many samples,
    nine in ten of its latencies lie in their 90 % interval, measuring noise included. Latency is
    linear in what devices have in common, so the mean of a network that is much faster than all
    that were timed can fall below 0; its std then says how little is known.

    Args:
        encodings: of n architectures, (n, d).
        pool_ms: their latencies on k known devices, (n, k).
        genes: features of encodings; one-hot if None, which knows the choices of the pool only.

    Raises:
        ValueError: if the pool is torn or too small.
    """

    def __init__(
        self, encodings: IntArray, pool_ms: FloatArray, genes: Genes | None = None
    ) -> None:
        self.encodings = as_rows(encodings)
        self.pool_ms = np.asarray(pool_ms, dtype=np.float64)
        genes = OneHot(self.encodings) if genes is None else genes
        self._pool = Pool(self.encodings, self.pool_ms, genes)

    @classmethod
    def from_tables(cls, space: SearchSpace, tables: Sequence[LatencyTable]) -> Self:
        """Takes the pool from tables of other devices, each with all workloads of the space.

        Raises:
            MissingWorkloadError: if one lacks a workload.
            ValueError: if there is no table.
        """
        if not tables:
            raise ValueError("Tables of at least one other device are needed, but got none.")
        drawn = space.sample(_KNOWN, np.random.default_rng(0))
        X = np.unique(np.vstack([space.landmarks, drawn]), axis=0)
        pool_ms = np.column_stack([TableSum(space, table).mean(X) for table in tables])
        return cls(X, pool_ms, Counts(space, X))

    def suggest(self, candidates: IntArray, n: int) -> IntArray:
        """Indices (n,) of the candidates (m, d) that are most worth timing, best first.

        Each is the one that, timed, leaves least variance over all candidates.

        Raises:
            ValueError: if n is less than 1 or more than m.

        References:
            Seo, Wallat, Graepel, Obermayer: Gaussian Process Regression: Active Data Selection
            and Test Point Rejection. IJCNN 2000.
        """
        candidates = as_rows(candidates)
        if not 1 <= n <= len(candidates):
            raise ValueError(f"`1 <= n <= {len(candidates)}` must hold, but got {n}.")
        functions, genes = self._pool.functions(candidates), self._pool.genes(candidates)
        features = np.hstack(
            [
                np.sqrt((1 - _OWN) / functions.shape[1]) * functions,
                np.sqrt(_OWN) * genes,
                3 * np.ones((len(candidates), 1)),  # how fast the device is, is not known at all
            ]
        )
        moment = features.T @ features / len(features)
        uncertain = np.eye(features.shape[1])
        chosen: list[int] = []
        for _ in range(n):
            spread = features @ uncertain
            variance = np.einsum("nf,nf->n", spread, features) + _NOISE
            gain = np.einsum("nf,nf->n", spread @ moment, spread) / variance
            gain[chosen] = -1.0
            best = int(np.argmax(gain))
            chosen.append(best)
            uncertain -= np.outer(spread[best], spread[best]) / variance[best]
        return np.array(chosen)

    def fit(self, X: IntArray, y_ms: FloatArray) -> Self:
        """Learns from latencies y_ms (s,) of architectures X (s, d); 3 to 50 are meant.

        Raises:
            ValueError: if there are fewer than 3, they are not finite and positive or all the same,
                or the encodings are not like the pool's.
        """
        X, y_ms = as_rows(X), np.asarray(y_ms, dtype=np.float64)
        check(X, y_ms, _FEWEST)
        if (y_ms <= 0).any():
            raise ValueError(f"Latencies must be positive, but the least is {y_ms.min()} ms.")
        functions, genes = self._pool.functions(X), self._pool.genes(X)
        self.unit_ms_ = float(np.median(y_ms))
        every = np.arange(functions.shape[1])
        self.mixture_ = self._mixture(functions, genes, y_ms, every)
        self.widening_ = self._widening(len(y_ms))
        return self

    def predict(self, X: IntArray) -> Prediction:
        """Milliseconds for encodings (n, d)."""
        X = as_rows(X)
        mean, variance = self.mixture_.predict(self._pool.functions(X), self._pool.genes(X))
        return Prediction(self.unit_ms_ * mean, self.unit_ms_ * np.sqrt(variance)).widened(
            self.widening_
        )

    def mean(self, X: IntArray) -> FloatArray:
        """The means alone, (n,)."""
        X = as_rows(X)
        return self.unit_ms_ * self.mixture_.mean(self._pool.functions(X), self._pool.genes(X))

    def _mixture(
        self, functions: FloatArray, genes: FloatArray, y_ms: FloatArray, devices: IntArray
    ) -> DeviceMixture:
        return DeviceMixture(
            functions[:, devices],
            genes,
            y_ms / np.median(y_ms),
            self._pool.relative_std[devices],
            self._pool.relative_noise[devices],
        )

    def _widening(self, n_samples: int) -> float:
        """Calibrates on the devices of the pool, each left out once with its copies.

        It never narrows where fewer than three devices differ, and is 1 where nothing is held out.
        """
        n, k = self.pool_ms.shape
        n_fresh = min(_HELD_OUT, n - n_samples)
        if n_fresh < 1:
            return 1.0
        rng = np.random.default_rng(0)
        functions, genes = (f(self.encodings) for f in (self._pool.functions, self._pool.genes))
        copies = np.abs(functions.T @ functions) / n > _COPY
        means, variances, truths = [], [], []
        for device in range(k):
            others = np.flatnonzero(~copies[device])
            if not len(others):
                continue
            rows = rng.permutation(n)
            timed, fresh = rows[:n_samples], rows[n_samples : n_samples + n_fresh]
            y_ms = self.pool_ms[:, device]
            if np.ptp(y_ms[timed]) == 0:  # whole milliseconds can agree by chance
                continue
            unit_ms = np.median(y_ms[timed])
            mixture = self._mixture(functions[timed], genes[timed], y_ms[timed], others)
            mean, variance = mixture.predict(functions[fresh][:, others], genes[fresh])
            means.append(mean)
            variances.append(variance)
            truths.append(y_ms[fresh] / unit_ms)
        if not means or len(np.concatenate(truths)) < conformal.FEWEST:
            return 1.0
        held_out = Prediction(np.concatenate(means), np.sqrt(np.concatenate(variances)))
        factor = conformal.scale(held_out, np.concatenate(truths))
        return factor if len(np.unique(copies, axis=0)) >= _DISTINCT else max(1.0, factor)
