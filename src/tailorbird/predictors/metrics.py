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
