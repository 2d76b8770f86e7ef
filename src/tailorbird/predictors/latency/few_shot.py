"""Latency on a device on which only a handful of networks were timed."""

from typing import Self

import numpy as np

from tailorbird.notebook import counted
from tailorbird.predictors import conformal
from tailorbird.predictors.latency.device_mixture import DeviceMixture
from tailorbird.predictors.latency.device_pool import DevicePool, Pool
from tailorbird.predictors.latency.pool_features import OneHot
from tailorbird.predictors.prediction import Prediction
from tailorbird.predictors.sample_checks import as_rows, check, check_is_fitted
from tailorbird.spaces import FloatArray, IntArray

_FEWEST = 3
LEAST = 0.25  # of the fastest that was timed, below which a latency is extrapolated
_OWN, _NOISE = 0.2, 0.1  # as a new device is thought of before anything was timed
_COPY, _DISTINCT = 0.9999, 3  # correlation of one device listed twice
_HELD_OUT = 200  # architectures per device that calibrate the stds


class FewShotLatency:
    """Transfers latencies of known devices to a new one.

    Before anything is timed, a new device is thought to be like one that is known, see
    `DeviceMixture`. Stds are calibrated by leaving each known device out: with as many samples,
    nine in ten of its latencies lie in their 90 % interval, measuring noise included.

    Latency is linear in what devices have in common, so that of a network which is much faster than
    all that were timed would fall below 0. So below a quarter of the fastest that was timed it is
    speed, networks per millisecond, that is linear: the mean stays positive, and ranks as before.
    Such networks are marked as extrapolated, and what the mean was moved by is in their std.

    Args:
        encodings: of n architectures, (n, d).
        pool_ms: their latencies on k known devices, (n, k).
        pool: what these devices have in common, and perhaps made-up ones after them; learned from
            these latencies if None, and then it knows the choices of these encodings only.
        costs: what else the architectures need, (n, q), such as multiply-adds and parameters, see
            `made_up_costs`: a device of another kind than those of the pool may be bound by it.

    Raises:
        ValueError: if the pool is torn or too small.
    """

    def __init__(
        self,
        encodings: IntArray,
        pool_ms: FloatArray,
        pool: DevicePool | None = None,
        costs: FloatArray | None = None,
    ) -> None:
        self.encodings = as_rows(encodings)
        self.pool_ms = np.asarray(pool_ms, dtype=np.float64)
        if pool is None:
            costs = None if costs is None else np.asarray(costs, dtype=np.float64)
            pool = Pool(self.encodings, self.pool_ms, OneHot(self.encodings), costs)
        self._pool = pool

    def __repr__(self) -> str:
        n, k = self.pool_ms.shape
        return f"FewShotLatency({counted(n, 'network')} on {counted(k, 'device')})"

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
        functions, variables = self._pool.functions(candidates), self._pool.features(candidates)
        features = np.hstack(
            [
                np.sqrt((1 - _OWN) / functions.shape[1]) * functions,
                np.sqrt(_OWN) * variables,
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
        self.samples_ = X, y_ms
        self.unit_ms_, self.least_ms_ = float(np.median(y_ms)), LEAST * float(y_ms.min())
        self.mixture_ = self._mixture(X, y_ms, np.arange(self.pool_ms.shape[1]))
        self.widening_ = self._widening(len(y_ms))
        return self

    def predict(self, X: IntArray) -> Prediction:
        """Milliseconds for encodings (n, d).

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        X = as_rows(X)
        pool = self._pool
        mean, variance = self.mixture_.predict(pool.functions(X), pool.features(X), pool.sizes(X))
        linear = Prediction(self.unit_ms_ * mean, self.unit_ms_ * np.sqrt(variance))
        return extrapolated(linear.widened(self.widening_), self.least_ms_)

    def mean(self, X: IntArray) -> FloatArray:
        """The means alone, (n,).

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        X = as_rows(X)
        mean = self.mixture_.mean(self._pool.functions(X), self._pool.features(X))
        return positive(self.unit_ms_ * mean, self.least_ms_)

    def left_out(self) -> Prediction:
        """Milliseconds for each sample, as the others predict it, (s,).

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        X, y_ms = self.samples_
        pool = self._pool
        functions, features, sizes = pool.functions(X), pool.features(X), pool.sizes(X)
        every = np.arange(self.pool_ms.shape[1])
        mean_ms, std_ms, least_ms = np.empty((3, len(y_ms)))
        for i in range(len(y_ms)):
            others, one = np.arange(len(y_ms)) != i, slice(i, i + 1)
            mixture = self._mixture(X[others], y_ms[others], every)
            mean, variance = mixture.predict(functions[one], features[one], sizes[one])
            unit_ms = np.median(y_ms[others])
            mean_ms[i], std_ms[i] = unit_ms * mean[0], unit_ms * np.sqrt(variance[0])
            least_ms[i] = LEAST * y_ms[others].min()
        return extrapolated(Prediction(mean_ms, std_ms).widened(self.widening_), least_ms)

    def _mixture(self, X: IntArray, y_ms: FloatArray, devices: IntArray) -> DeviceMixture:
        """The mixture fitted to samples, given some devices of the pool."""
        functions = self._pool.functions(X)
        return DeviceMixture(
            functions[:, self._columns(devices, functions.shape[1])],
            self._pool.features(X),
            self._pool.sizes(X),
            y_ms / np.median(y_ms),
            self._pool.relative_std[devices],
            self._pool.relative_noise[devices],
        )

    def _columns(self, devices: IntArray, n_functions: int) -> IntArray:
        """Columns of functions: those of some devices, and of all made-up ones."""
        return np.append(devices, np.arange(self.pool_ms.shape[1], n_functions))

    def _widening(self, n_samples: int) -> float:
        """Calibrates on the devices of the pool, each left out once with its copies.

        It never narrows where fewer than three devices differ, and is 1 where nothing is held out.
        """
        n, k = self.pool_ms.shape
        n_fresh = min(_HELD_OUT, n - n_samples)
        if n_fresh < 1:
            return 1.0
        rng = np.random.default_rng(0)
        functions, features, sizes = (
            f(self.encodings) for f in (self._pool.functions, self._pool.features, self._pool.sizes)
        )
        known = functions[:, :k]
        copies = np.abs(known.T @ known) / n > _COPY
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
            mixture = self._mixture(self.encodings[timed], y_ms[timed], others)
            columns = self._columns(others, functions.shape[1])
            mean, variance = mixture.predict(
                functions[fresh][:, columns], features[fresh], sizes[fresh]
            )
            means.append(mean)
            variances.append(variance)
            truths.append(y_ms[fresh] / unit_ms)
        if not means or len(np.concatenate(truths)) < conformal.FEWEST:
            return 1.0
        held_out = Prediction(np.concatenate(means), np.sqrt(np.concatenate(variances)))
        factor = conformal.scale(held_out, np.concatenate(truths))
        return factor if len(np.unique(copies, axis=0)) >= _DISTINCT else max(1.0, factor)


def positive(linear: FloatArray, least: FloatArray | float) -> FloatArray:
    """Values, of which those below `least` are replaced by small positive ones.

    It grows with `linear`, meets it in value and slope, and never is 0 or less.
    """
    return np.where(linear < least, least / (2 - np.minimum(linear / least, 1)), linear)


def extrapolated(linear: Prediction, least: FloatArray | float) -> Prediction:
    """A prediction with positive means; stds say how far these were moved."""
    mean = positive(linear.mean, least)
    return Prediction(mean, np.hypot(linear.std, mean - linear.mean), linear.mean < least)
