"""Conformal calibration of standard deviations, by residuals that were held out."""

import numpy as np
from scipy.stats import norm

from tailorbird.predictors.prediction import Prediction
from tailorbird.spaces import FloatArray

LEVEL = 0.9
FEWEST = 5  # below that even the largest residual says little about one in ten


def scale(predicted: Prediction, y: FloatArray) -> float:
    """Factor by which to widen the stds so that nine in ten intervals hold the truth.

    Split conformal prediction with residuals relative to their std: the factor is the
    ceil(0.9 (n + 1))-th smallest of n, over what a normal distribution has there. With less than
    nine residuals it is the largest.

    Args:
        predicted: of n architectures that were held out; stds must be positive.
        y: what they truly have, (n,).

    Raises:
        ValueError: if there are fewer than five residuals.

    References:
        Lei, G'Sell, Rinaldo, Tibshirani, Wasserman: Distribution-Free Predictive Inference for
        Regression. JASA 113, 2018.
    """
    n = len(y)
    if n < FEWEST:
        raise ValueError(f"`n >= {FEWEST}` residuals are needed to calibrate, but got {n}.")
    scores = np.sort(np.abs(y - predicted.mean) / predicted.std)
    rank = min(int(np.ceil(LEVEL * (n + 1))), n)
    return float(scores[rank - 1] / norm.ppf((1 + LEVEL) / 2))
