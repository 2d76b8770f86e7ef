"""Accuracies on the scale of their logarithmic errors, where they are more nearly normal.

From 90 to 91 % is as much as from 99.0 to 99.1 %: a tenth of the errors. On this scale the long
tail of bad networks does not bend a regression.
"""

import numpy as np

from tailorbird.predictors.prediction import Prediction
from tailorbird.spaces import FloatArray

_LEAST_ERROR = 1e-4  # where nothing is known of the images


def check(accuracy: FloatArray) -> None:
    """Refuses what is no fraction.

    Raises:
        ValueError: if so.
    """
    wrong = (accuracy < 0) | (accuracy > 1)
    if wrong.any():
        raise ValueError(
            f"Accuracies must be fractions from 0 to 1, but got {accuracy[np.argmax(wrong)]}. "
            "Divide percentages by 100."
        )


def to_scale(accuracy: FloatArray, n_images: int | None = None) -> FloatArray:
    """-log(1 - accuracy), (n,); no error at all counts as half an image of n_images."""
    least = _LEAST_ERROR if n_images is None else 0.5 / n_images
    return np.asarray(-np.log(np.maximum(1 - accuracy, least)))


def to_accuracy(z: FloatArray) -> FloatArray:
    """Accuracies (n,) of values on the scale, (n,)."""
    return np.asarray(-np.expm1(-z))


def from_scale(mean: FloatArray, std: FloatArray) -> Prediction:
    """Accuracies whose errors are log-normal, by their median and their std."""
    error = np.exp(-mean)
    variance = np.minimum(std, 1.0) ** 2  # so that exp stays in reason
    return Prediction(to_accuracy(mean), error * np.sqrt(np.expm1(variance) * np.exp(variance)))


def with_images(predicted: Prediction, n_images: int | None) -> Prediction:
    """A prediction with the binomial error of so many images in its stds."""
    if n_images is None:
        return predicted
    p = np.clip(predicted.mean, 0.0, 1.0)
    return Prediction(predicted.mean, np.sqrt(predicted.std**2 + p * (1 - p) / n_images))
