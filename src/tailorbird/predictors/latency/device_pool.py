"""Latencies of known devices as smooth functions of the encoding."""

from typing import Protocol

import numpy as np

from tailorbird.predictors.latency.pool_features import EncodingFeatures
from tailorbird.spaces import FloatArray, IntArray

_PAIRS = 0.1  # weight of pairs of features beside single ones
_RIDGES = np.logspace(-4, 1, 11)  # times the noise that is looked for
_FREEDOM = 3.0  # of Student's t: phones that do something else for a while are common
_REFITS = 8
LEAST_SPREAD = 1e-3
"""Standard deviation of a made-up device, over its mean, below which it is no direction."""

_LOWEST = 0.02  # of a mean latency: below that, noise is no longer in proportion


class DevicePool(Protocol):
    """Common ground of k devices, from which a new one deviates; some may be made up."""

    @property
    def relative_std(self) -> FloatArray:
        """Standard deviation of the latencies of each device, over their mean, (k,)."""

    @property
    def relative_noise(self) -> FloatArray:
        """Variance of each device's measurements, over that of architectures, (k,)."""

    def functions(self, X: IntArray) -> FloatArray:
        """Latency of each device, and then of each made-up one, (n, k + q).

        They have mean 0 and std 1 over usual architectures.
        """

    def features(self, X: IntArray) -> FloatArray:
        """Features (n, p), centred, with mean square 1 over usual architectures."""

    def sizes(self, X: IntArray) -> FloatArray:
        """Latencies on a usual device, over their mean, (n,); noise is in proportion to them."""


def sizes(relative: FloatArray) -> FloatArray:
    """Mean over devices, (n,), of latencies that are over their mean on each device, (n, k)."""
    return np.asarray(np.maximum(relative.mean(axis=1), _LOWEST))


class Pool:
    """Common ground of k devices, learned from architectures that all of them timed.

    Each device is a ridge regression on features and their pairs. Samples far off count less, as
    under noise of Student's t: some phones take twice as long every twentieth time.

    Args:
        encodings: (n, d).
        pool_ms: of each on each device, (n, k).
        features: of encodings.
        costs: what else each needs, (n, q), as if that was its latency on a made-up device; None
            for none. Such devices come last, those on which all take as long are left out.

    Raises:
        ValueError: if shapes differ, there are less than two rows, or a latency is not finite and
            positive.
    """

    def __init__(
        self,
        encodings: IntArray,
        pool_ms: FloatArray,
        features: EncodingFeatures,
        costs: FloatArray | None = None,
    ) -> None:
        n_real = self._n_real = pool_ms.shape[-1]
        if costs is not None:
            differs = costs.std(axis=0) > LEAST_SPREAD * costs.mean(axis=0)
            pool_ms = np.hstack([pool_ms, costs[:, differs]])
        if encodings.ndim != 2 or pool_ms.ndim != 2 or len(encodings) != len(pool_ms):
            raise ValueError(
                "`encodings` (n, d) and `pool_ms` (n, k) must have equal n, but got "
                f"{encodings.shape=}, {pool_ms.shape=}."
            )
        if min(*pool_ms.shape, len(encodings) - 1) < 1:
            raise ValueError(
                f"A pool needs two architectures and one device at least, but got {pool_ms.shape=}."
            )
        wrong = ~(np.isfinite(pool_ms) & (pool_ms > 0))
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise ValueError(
                f"Latencies of the pool must be finite and positive, but {wrong.sum()} are not "
                f"(first: row {row}, device {column}: {pool_ms[row, column]}). Leave out devices "
                "or architectures that were not measured."
            )
        self.pool_ms = pool_ms
        self._features_of = features
        self._features = features(encodings)
        self._center = self._features.mean(axis=0)
        self._spread = np.sqrt(np.square(self._features - self._center).sum(axis=1).mean())
        typical_ms = pool_ms.mean(axis=0)
        self._offset, self._dual = _robust_ridge(self._kernel(self._features), pool_ms / typical_ms)
        known = self._smooth(self._features)
        std = known.std(axis=0)
        flat = std < 1e-9
        if flat.any():
            raise ValueError(
                f"Devices of the pool must tell architectures apart, but all latencies of device "
                f"{np.argmax(flat)} are alike. Leave it out."
            )
        self._mean, self._std = known.mean(axis=0), std
        self.relative_std = std[:n_real]
        """Standard deviation of the smooth latencies, over their mean, (k,)."""
        rough = (pool_ms / typical_ms - known)[:, :n_real] / sizes(known[:, :n_real])[:, None]
        self.relative_noise = np.square(rough.std(axis=0) / self.relative_std)
        """Variance of what is not smooth, over that of what is, (k,)."""

    def functions(self, X: IntArray) -> FloatArray:
        """Latency of each device, and then of each made-up one, (n, k + q).

        They have mean 0 and std 1 over the pool's architectures.
        """
        return np.asarray((self._smooth(self._features_of(X)) - self._mean) / self._std)

    def features(self, X: IntArray) -> FloatArray:
        """Features (n, p), centred, with mean square 1 over the pool's architectures."""
        return np.asarray((self._features_of(X) - self._center) / max(self._spread, 1e-12))

    def sizes(self, X: IntArray) -> FloatArray:
        """Latencies on a usual device, over their mean, (n,)."""
        return sizes(self._smooth(self._features_of(X))[:, : self._n_real])

    def _smooth(self, features: FloatArray) -> FloatArray:
        return np.asarray(self._kernel(features) @ self._dual + self._offset)

    def _kernel(self, features: FloatArray) -> FloatArray:
        agreement = features @ self._features.T / self._features_of.width
        return np.asarray(agreement + _PAIRS * agreement**2)


def _robust_ridge(kernel: FloatArray, Y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Offsets (k,) and dual coefficients (n, k); one decomposition serves all refits.

    Residuals beyond the common ones are drawn in and the targets refitted (modified residuals).

    References:
        Huber, Ronchetti: Robust Statistics. Wiley 2009, section 7.8.
    """
    values, vectors = np.linalg.eigh(kernel)
    values = np.maximum(values, 0.0)
    target, dual, offset = Y, np.empty_like(Y), Y.mean(axis=0)
    for _ in range(_REFITS):
        offset = target.mean(axis=0)
        rotated = vectors.T @ (target - offset)
        errors = []
        for ridge in _RIDGES:
            kept = values / (values + ridge)
            residual = (target - offset) - vectors @ (kept[:, None] * rotated)
            leverage = np.square(vectors) @ kept
            left_out = residual / np.maximum(1 - leverage, 1e-9)[:, None]
            errors.append(np.square(left_out).mean(axis=0))
        ridges = _RIDGES[np.argmin(errors, axis=0)]
        dual = vectors @ (rotated / (values[:, None] + ridges))
        fitted = kernel @ dual + offset
        residual = Y - fitted
        common = 1.4826 * np.median(np.abs(residual), axis=0) + 1e-12
        weight = (_FREEDOM + 1) / (_FREEDOM + np.square(residual / common))
        target = fitted + np.minimum(weight, 1.0) * residual
    return offset, dual
