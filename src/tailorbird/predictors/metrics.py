"""Metrics of predictions: rank correlations, errors, coverage, and their intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau, spearmanr

from tailorbird.predictors.prediction import Prediction
from tailorbird.spaces import FloatArray

Metric = Callable[[FloatArray, FloatArray], float]
"""Figure of predicted and measured values, (n,) each."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with a lower and an upper bound.

    Attributes:
        value: of all architectures.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


def kendall_tau(a: FloatArray, b: FloatArray) -> float:
    """Rank correlation tau-b of two orders of n things, from -1 to 1; NaN if there is none."""
    if len(a) < 2:
        return float("nan")
    return float(kendalltau(a, b).statistic)


def spearman_rho(a: FloatArray, b: FloatArray) -> float:
    """Correlation of the ranks of two orders of n things, from -1 to 1; NaN if there is none.

    Ties share the mean of their ranks.
    """
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def top_k_recall(predicted: FloatArray, measured: FloatArray, k: int) -> float:
    """Fraction of the k best measured that are among the k best predicted.

    The smallest are best, as with latencies; for accuracies pass both with their sign flipped.
    Among equals the first are taken.

    Raises:
        ValueError: unless 1 <= k <= n.
    """
    if not 1 <= k <= len(measured):
        raise ValueError(f"`1 <= k <= {len(measured)}` must hold, but got {k}.")
    best = [set(np.argsort(values, kind="stable")[:k]) for values in (predicted, measured)]
    return len(best[0] & best[1]) / k


def mape(predicted: FloatArray, measured: FloatArray) -> float:
    """Mean absolute error relative to the measurement, as a fraction."""
    return float(np.mean(np.abs(predicted - measured) / measured))


def share_within(predicted: FloatArray, measured: FloatArray, relative: float) -> float:
    """Fraction of predictions that are off by no more than this, relative to the measurement."""
    return float(np.mean(np.abs(predicted - measured) <= relative * measured))


def tau_within_bands(predicted: FloatArray, measured: FloatArray, half_width: float) -> float:
    """Rank correlation among networks of like latency, where a wide range cannot flatter it.

    Only pairs count whose measurements both lie within mean * (1 ± half_width) of their mean.
    NaN if there is no such pair.
    """
    i, j = np.triu_indices(len(measured), k=1)
    gap, mean = measured[i] - measured[j], (measured[i] + measured[j]) / 2
    close = np.abs(gap) / 2 <= half_width * mean
    if not close.any():
        return float("nan")
    return float(np.mean(np.sign((predicted[i] - predicted[j]) * gap)[close]))


def coverage(prediction: Prediction, measured: FloatArray, level: float = 0.9) -> float:
    """Fraction of measurements inside their central interval; well calibrated, it is the level."""
    low, high = prediction.interval(level)
    return float(np.mean((low <= measured) & (measured <= high)))


def bootstrap(
    metric: Metric,
    predicted: FloatArray,
    measured: FloatArray,
    rng: np.random.Generator,
    n: int = 1000,
    level: float = 0.95,
) -> Interval:
    """A figure, with its percentile interval over architectures drawn anew with replacement.

    Draws in which the figure is not defined, such as a rank correlation of one network drawn over
    and over, are left out. The interval is NaN if that is all of them.

    Args:
        metric: of predicted and measured values.
        predicted: (m,).
        measured: (m,).
        rng: draws architectures.
        n: draws.
        level: share of the draws inside the interval.

    References:
        Efron, Tibshirani: An Introduction to the Bootstrap, section 13.3. Chapman & Hall 1993.
    """
    draws = rng.integers(len(measured), size=(n, len(measured)))
    values = np.array([metric(predicted[rows], measured[rows]) for rows in draws])
    values = values[np.isfinite(values)]
    ends = np.quantile(values, [(1 - level) / 2, (1 + level) / 2]) if len(values) else [np.nan] * 2
    return Interval(metric(predicted, measured), float(ends[0]), float(ends[1]))


def accuracy_std(accuracy: FloatArray, n: int | None) -> FloatArray:
    """Binomial standard error of accuracies measured on n images, (k,); NaN if n is not known.

    It is the spread of the posterior under a uniform prior, Beta(correct + 1, wrong + 1), which
    unlike sqrt(p(1 - p)/n) does not vanish where all answers happened to be right.
    """
    if n is None:
        return np.full(len(accuracy), np.nan)
    p = (accuracy * n + 1) / (n + 2)
    return np.asarray(np.sqrt(p * (1 - p) / (n + 3)))
