"""How good predictions are."""

import numpy as np
from scipy.stats import kendalltau

from tailorbird.predictors.prediction import FloatArray


def kendall_tau(a: FloatArray, b: FloatArray) -> float:
    """Rank correlation tau-b of two orders of n things, from -1 to 1; NaN if there is none."""
    if len(a) < 2:
        return float("nan")
    return float(kendalltau(a, b).statistic)


def mape(predicted: FloatArray, measured: FloatArray) -> float:
    """Mean absolute error relative to the measurement, as a fraction."""
    return float(np.mean(np.abs(predicted - measured) / measured))


def share_within(predicted: FloatArray, measured: FloatArray, relative: float) -> float:
    """Share of predictions that are off by no more than this, relative to the measurement."""
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
