"""Predictions of samples by what learned from the other samples."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tailorbird.predictors.prediction import Prediction
from tailorbird.spaces import FloatArray, IntArray

_FOLDS = 5


def left_out(
    folds: Iterable[tuple[IntArray, IntArray]],
    predict: Callable[[IntArray, IntArray], tuple[FloatArray, FloatArray]],
) -> Prediction:
    """Each sample as it is predicted from those outside of its fold.

    Args:
        folds: places of the samples to learn from and of those left out; each of the n samples is
            left out once.
        predict: means and stds of the samples left out, (k,) each, given both.
    """
    predicted = [(out, *predict(rest, out)) for rest, out in folds]
    order = np.argsort(np.concatenate([out for out, _, _ in predicted]))
    mean, std = (np.concatenate([fold[i] for fold in predicted])[order] for i in (1, 2))
    return Prediction(mean, std)


def five_folds(n: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Places of the samples to learn from and of those left out, at random, always the same."""
    fold = np.random.default_rng(0).permutation(n) % _FOLDS
    for i in range(_FOLDS):
        yield np.flatnonzero(fold != i), np.flatnonzero(fold == i)
