"""Latency on a new device as a mixture over known devices, weighed by a few measurements."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from tailorbird.spaces import FloatArray

_SIMILARITIES = (0.7, 0.85, 0.93, 0.97, 0.99)  # correlation with the device that it is like
_NOISES = (0.003, 0.02, 0.08, 0.3, 1.0)  # variance of measurements, over that of architectures
_SCALES = np.exp(np.linspace(-np.log(4), np.log(4), 13))  # of the device, over the pool's median
_SCALE_SPREAD, _NOISE_SPREAD = 0.4, 1.0  # of their logarithms around those of a like device
_OWN = 0.2  # of the variance: what is like no device of the pool
_FREEDOM = 1.5  # of Student's t
_REWEIGHTINGS = 8
_NEGLIGIBLE = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class _Hypothesis:
    """Assumption that the new device resembles one of the pool, with similarity and noise.

    Attributes:
        weight: its posterior probability.
        like: column of the pool.
        r: correlation with it.
        scale: std of its latencies, over their median.
        offset: latency where all functions are 0.
        dual: of the deviations from `like`, (s,).
        covariance_inverse: of the samples, (s, s).
        noise: variance of a measurement of a usual architecture.
    """

    weight: float
    like: int
    r: float
    scale: float
    offset: float
    dual: FloatArray
    covariance_inverse: FloatArray
    noise: float


class _Cell(NamedTuple):
    """Evidence of the samples under one similarity and noise, for every scale and device.

    Attributes:
        r: similarity.
        noise: of measurements.
        inverse: of the covariance of the samples, (s, s).
        offset: (n_scales, k).
        dual: (s, n_scales, k).
        evidence: logarithms, prior included, (n_scales, k).
    """

    r: float
    noise: float
    inverse: FloatArray
    offset: FloatArray
    dual: FloatArray
    evidence: FloatArray


class Line(NamedTuple):
    """Weights of a linear predictor: an offset, one per function and one per feature.

    Attributes:
        offset: its value where all are 0.
        of_functions: (k + q,).
        of_features: (p,).
    """

    offset: float
    of_functions: FloatArray
    of_features: FloatArray


class DeviceMixture:
    """Predicts a device that is like one of the pool, and deviates as devices do from each other.

    For each device of the pool, similarity, scale and noise there is a Gaussian process whose mean
    is that device's function; deviations vary as the functions of the pool, and by feature. A
    device tends to spread and to be noisy as the one that it is like. The evidence of the samples
    weighs all of this. Noise is in proportion to latency, and measurements that no hypothesis
    explains count less (Student's t). Latencies are in units of their median.

    Args:
        functions: of the pool at the samples, and then of made-up devices, (s, k + q): deviations
            vary as these do as well, but no device is like one of them.
        features: of the samples, (s, p).
        sizes: of the samples: what they take on usual devices, over its mean, (s,).
        y: latencies over their median, (s,).
        relative_std: of each device of the pool, over its mean, (k,).
        relative_noise: variance of its measurements, over that of architectures, (k,).

    References:
        Rasmussen, Williams: Gaussian Processes for Machine Learning. MIT Press 2006, chapter 2.
    """

    def __init__(
        self,
        functions: FloatArray,
        features: FloatArray,
        sizes: FloatArray,
        y: FloatArray,
        relative_std: FloatArray,
        relative_noise: FloatArray,
    ) -> None:
        self._functions, self._features, self._y = functions, features, y
        self._squared = np.square(sizes)
        self._scales = np.median(relative_std) * _SCALES
        off = np.log(self._scales)[:, None] - np.log(relative_std)
        self._prior = -0.5 * np.square(off / _SCALE_SPREAD)  # (n_scales, k)
        self._log_noise = np.log(np.maximum(relative_noise, min(_NOISES)))
        self._trust = np.ones(len(y))
        for _ in range(_REWEIGHTINGS):
            self._trust = self._reweighted()
        self._hypotheses = self._likely()

    def predict(
        self, functions: FloatArray, features: FloatArray, sizes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and variance, (n,) each, measuring noise included.

        Args:
            functions: of architectures, (n, k + q).
            features: theirs, (n, p).
            sizes: theirs, (n,).
        """
        mean, square, variance = (np.zeros(len(functions)) for _ in range(3))
        shared = self._covariance(functions, features)  # (n, s)
        own = (1 - _OWN) * np.square(functions).mean(axis=1) + _OWN * np.square(features).sum(
            axis=1
        )
        for h in self._hypotheses:
            deviation = (1 - h.r**2) * shared
            value = h.scale * (h.offset + h.r * functions[:, h.like] + deviation @ h.dual)
            mean += h.weight * value
            square += h.weight * value**2
            solved = deviation @ h.covariance_inverse
            left = (1 - h.r**2) * own - np.einsum("ns,ns->n", solved, deviation)
            left += np.square(1 - solved.sum(axis=1)) / h.covariance_inverse.sum()  # the offset's
            variance += h.weight * h.scale**2 * (np.maximum(left, 0.0) + h.noise * sizes**2)
        return mean, variance + np.maximum(square - mean**2, 0.0)

    def mean(self, functions: FloatArray, features: FloatArray) -> FloatArray:
        """The means alone, (n,)."""
        line = self.line
        return np.asarray(line.offset + functions @ line.of_functions + features @ line.of_features)

    @cached_property
    def line(self) -> Line:
        """The means as they depend on functions and features."""
        of_functions, dual, offset = np.zeros(self._functions.shape[1]), np.zeros(len(self._y)), 0.0
        for h in self._hypotheses:
            of_functions[h.like] += h.weight * h.scale * h.r
            dual += h.weight * h.scale * (1 - h.r**2) * h.dual
            offset += h.weight * h.scale * h.offset
        of_functions += (1 - _OWN) / len(of_functions) * (dual @ self._functions)
        return Line(offset, of_functions, _OWN * self._features.T @ dual)

    def _covariance(self, functions: FloatArray, features: FloatArray) -> FloatArray:
        """Covariances of deviations at n architectures with those at the samples, (n, s)."""
        k = functions.shape[1]
        shared = (1 - _OWN) / k * functions @ self._functions.T
        return np.asarray(shared + _OWN * features @ self._features.T)

    def _grid(self) -> list[_Cell]:
        """Evidence of the samples under each similarity and noise."""
        among = self._covariance(self._functions, self._features)
        scales, n_devices = self._scales[:, None], len(self._log_noise)
        n, found = len(self._y), []
        for r in _SIMILARITIES:
            gap = self._y[:, None, None] / scales - r * self._functions[:, None, :n_devices]
            for noise in _NOISES:
                covariance = (1 - r**2) * among + np.diag(noise * self._squared / self._trust)
                inverse: FloatArray = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
                ones = inverse.sum(axis=0)
                offset = np.tensordot(ones, gap, 1) / ones.sum()
                dual = np.tensordot(inverse, gap - offset, 1)
                fit = ((gap - offset) * dual).sum(axis=0)
                log_det = np.linalg.slogdet(covariance)[1] + np.log(ones.sum())
                evidence = -0.5 * (fit + log_det) - (n - 1) * np.log(scales) + self._prior
                evidence -= 0.5 * np.square((np.log(noise) - self._log_noise) / _NOISE_SPREAD)
                found.append(_Cell(r, noise, inverse, offset, dual, evidence))
        return found

    def _reweighted(self) -> FloatArray:
        """How far each sample is to be trusted, (s,), from the noise that it seems to have."""
        grid = self._grid()
        total = logsumexp([evidence for *_, evidence in grid])
        trust = np.zeros(len(self._y))
        for _, noise, _, _, dual, evidence in grid:
            variance = (noise * self._squared)[:, None, None]
            seen = variance * dual / self._trust[:, None, None]
            weight = (_FREEDOM + 1) / (_FREEDOM + np.square(seen) / variance)
            trust += (np.exp(evidence - total) * weight).sum(axis=(1, 2))
        return trust

    def _likely(self) -> list[_Hypothesis]:
        grid = self._grid()
        total = logsumexp([evidence for *_, evidence in grid])
        found = []
        for r, noise, inverse, offset, dual, evidence in grid:
            weight = np.exp(evidence - total)
            for i, j in np.argwhere(weight > _NEGLIGIBLE):
                found.append(
                    _Hypothesis(
                        float(weight[i, j]),
                        int(j),
                        r,
                        float(self._scales[i]),
                        float(offset[i, j]),
                        dual[:, i, j],
                        inverse,
                        noise,
                    )
                )
        rest = sum(h.weight for h in found)
        return [replace(h, weight=h.weight / rest) for h in found]
