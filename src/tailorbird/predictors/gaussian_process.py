"""Gaussian processes whose covariance is a sum of given ones."""

from typing import Self

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.optimize import minimize

from tailorbird.predictors.prediction import Prediction
from tailorbird.spaces import FloatArray

_CONSTANT = 10.0  # variance of the constant, in variances of the values: as good as unknown
_START, _START_NOISE = np.log(0.3), np.log(0.03)
_PRIOR_PRECISION = 0.02  # of log variances: a factor of a thousand is nothing unusual
_BOUNDS, _NOISE_BOUNDS = (-18.0, 6.0), (-14.0, 3.0)
_REWEIGHTINGS = 3
_STEPS, _FURTHER_STEPS = 60, 8
_LEARNED_FROM = 400  # samples are plenty for a handful of variances


class ComponentProcess:
    """Learns how much of the variance each of several covariances explains, and how much none.

    Values are a constant, plus for each component a function drawn from a Gaussian process with a
    variance of its own, plus noise. Variances maximise the marginal likelihood; components that
    explain nothing vanish. The noise has Student's t distribution, so that one bad measurement
    does not bend the rest: it is taken as normal with a weight for each sample, and weights and
    variances are learned by turns.

    Covariances should be scaled alike, to a mean diagonal of about one.

    Args:
        freedom: degrees of it, of the t distribution.

    Attributes:
        variances_: of the components, (m,), where the values have a variance of 1.

    References:
        Rasmussen, Williams: Gaussian Processes for Machine Learning, section 5.4. MIT Press 2006.
        Lange, Little, Taylor: Robust Statistical Modeling Using the t Distribution. JASA 84, 1989.
    """

    _theta: FloatArray  # variances, that of the noise last

    def __init__(self, freedom: float = 4.0) -> None:
        self.freedom = freedom

    def fit(
        self, K: FloatArray, y: FloatArray, scale: FloatArray, like: Self | None = None
    ) -> Self:
        """Learns from n samples.

        Args:
            K: covariance of the samples in each component, (m, n, n).
            y: values, (n,).
            scale: std of the noise of each, up to a factor that is learned, (n,).
            like: a process fitted to much the same, whose variances are where to begin.
        """
        self.centre_, self.spread_ = float(np.mean(y)), float(np.std(y))
        z = (y - self.centre_) / self.spread_
        some = np.linspace(0, len(y) - 1, min(len(y), _LEARNED_FROM)).astype(np.int64)
        theta = np.append([_START] * len(K), _START_NOISE) if like is None else np.log(like._theta)
        theta = self._learned(K[:, some][:, :, some], z[some], scale[some], theta)
        self._theta = np.exp(theta)
        weights = np.ones(len(y))
        for _ in range(_REWEIGHTINGS):
            weights = self._weights(K, z, scale, weights, self._theta)
        self.variances_, self._noise = self._theta[:-1], float(self._theta[-1])
        self._precision = _inverse(K, self._theta, scale**2 / weights)[0]
        self._dual = self._precision @ z
        return self

    @property
    def dual_(self) -> FloatArray:
        """Dual coefficients of the samples, in units of y, (n,)."""
        return self.spread_ * self._dual

    @property
    def constant_(self) -> float:
        """Mean where nothing is like any sample, in units of y."""
        return self.centre_ + _CONSTANT * float(self.dual_.sum())

    def mean(self, cross: FloatArray) -> FloatArray:
        """Means (k,) from the summed covariances with the samples, (k, n)."""
        return self.constant_ + cross @ self.dual_

    def predict(self, cross: FloatArray, own: FloatArray, scale: FloatArray) -> Prediction:
        """New samples, with their noise.

        Args:
            cross: summed covariances with the samples, (k, n), `variances_` times components.
            own: summed variances, (k,).
            scale: of the noise, as that of the samples, (k,).
        """
        covariance = cross + _CONSTANT
        known = np.sum((covariance @ self._precision) * covariance, axis=1)
        variance = np.maximum(own + _CONSTANT - known, 0) + self._noise * scale**2
        return Prediction(self.mean(cross), self.spread_ * np.sqrt(variance))

    def covariance(self, cross: FloatArray, own: FloatArray, scale: FloatArray) -> FloatArray:
        """Covariances of new samples with each other, their noise included, (k, k).

        Args:
            cross: as for `predict`.
            own: summed covariances, (k, k).
            scale: as for `predict`.
        """
        covariance = cross + _CONSTANT
        known = covariance @ self._precision @ covariance.T
        noise = np.diag(self._noise * scale**2)
        return np.asarray(self.spread_**2 * (own + _CONSTANT - known + noise))

    def _learned(
        self, K: FloatArray, z: FloatArray, scale: FloatArray, log_theta: FloatArray
    ) -> FloatArray:
        """Logarithms of variances, those of the noise last, (m + 1,)."""
        weights, steps = np.ones(len(z)), _STEPS
        log_theta = _maximised(K, z, scale**2, log_theta, steps)
        for _ in range(_REWEIGHTINGS):
            weights = self._weights(K, z, scale, weights, np.exp(log_theta))
            log_theta = _maximised(K, z, scale**2 / weights, log_theta, _FURTHER_STEPS)
        return log_theta

    def _weights(
        self,
        K: FloatArray,
        z: FloatArray,
        scale: FloatArray,
        weights: FloatArray,
        theta: FloatArray,
    ) -> FloatArray:
        """Weights of samples by how far they lie off, (n,)."""
        noise = theta[-1] * scale**2 / weights
        inverse, _ = _inverse(K, theta, scale**2 / weights)
        squared = (noise * (inverse @ z)) ** 2 + noise - noise**2 * np.diag(inverse)
        return np.asarray((self.freedom + 1) / (self.freedom + squared / (theta[-1] * scale**2)))


def _maximised(
    K: FloatArray, z: FloatArray, noise: FloatArray, start: FloatArray, steps: int
) -> FloatArray:
    """Log variances (m + 1,) under which the samples are likeliest, but for a weak prior."""
    usual = np.append([_START] * len(K), _START_NOISE)

    def loss(log_theta: FloatArray) -> tuple[float, FloatArray]:
        theta = np.exp(log_theta)
        try:
            inverse, half_log_det = _inverse(K, theta, noise)
        except np.linalg.LinAlgError:  # too far; the line search takes a shorter step
            return 1e25, np.zeros_like(theta)
        dual, off = inverse @ z, log_theta - usual
        A = inverse - np.outer(dual, dual)
        slope = 0.5 * theta * np.append(np.tensordot(K, A, 2), np.diag(A) @ noise)
        value = 0.5 * z @ dual + half_log_det + 0.5 * _PRIOR_PRECISION * off @ off
        return float(value), slope + _PRIOR_PRECISION * off

    bounds = [_BOUNDS] * len(K) + [_NOISE_BOUNDS]
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps}
    )
    return np.asarray(found.x)


def _inverse(K: FloatArray, theta: FloatArray, noise: FloatArray) -> tuple[FloatArray, float]:
    """Inverse of the covariance of the samples, (n, n), and half its log-determinant."""
    covariance = np.tensordot(theta[:-1], K, 1) + _CONSTANT
    covariance[np.diag_indices(len(noise))] += theta[-1] * noise
    half, flaw = dpotrf(covariance, lower=1)
    if flaw:
        raise np.linalg.LinAlgError("The covariance is not positive definite.")
    lower = np.tril(dpotri(half, lower=1)[0])  # half the work of a general inverse
    return lower + np.tril(lower, -1).T, float(np.log(np.diag(half)).sum())
