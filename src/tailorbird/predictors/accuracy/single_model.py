"""Accuracy of networks that were not evaluated, from those that were."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted

from tailorbird.predictors import conformal
from tailorbird.predictors.accuracy import log_error
from tailorbird.predictors.accuracy.features import Extra, Features, View
from tailorbird.predictors.prediction import Prediction
from tailorbird.predictors.regressors import Process, Regressor
from tailorbird.predictors.sample_checks import as_rows, check
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

FEWEST = 5
_CHUNK = 4_096  # rows
_NUMBERS = 2**24  # features of as many rows
_FOLDS, _FOLDS_OF_FEW, _FEW = 5, 10, 60  # few samples must not become much fewer


@dataclass(frozen=True, slots=True)
class Model:
    """A way to predict: what is seen of an architecture, and what learns from it.

    Attributes:
        name: for tables.
        view: of the features.
        make: an unfitted regressor.
    """

    name: str
    view: View
    make: Callable[[], Regressor]


DEFAULT = Model("process", "encoding", Process)


class AccuracyPredictor(BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """One model of accuracy, on the scale of logarithmic errors, with calibrated stds.

    Stds are widened until nine in ten accuracies lie in the 90 % interval that was predicted for
    them from the other folds. How far the images that networks were evaluated on stand for others
    is the same for all networks, so it cannot be seen in residuals; it is added as binomial error.

    Args:
        space: of the architectures.
        model: how to predict.
        n_images: on which accuracies were measured; None to leave their error out.
        extra: more features, such as zero-cost scores.
    """

    def __init__(
        self,
        space: SearchSpace,
        model: Model = DEFAULT,
        n_images: int | None = None,
        extra: Extra | None = None,
    ) -> None:
        self.space = space
        self.model = model
        self.n_images = n_images
        self.extra = extra

    def fit(self, X: IntArray, y: FloatArray) -> Self:
        """Learns from accuracies y (n,), as fractions, of canonical rows X (n, d).

        Raises:
            ValueError: if rows are not canonical, there are fewer than 5, or accuracies are not
                finite, not fractions or all the same.
        """
        X, y = samples(X, y)
        self.features_ = Features(self.space, self.model.view, self.extra)
        F, z = self.features_(X), log_error.to_scale(y, self.n_images)
        self.regressor_ = self.model.make().fit(F, z)
        self.left_out_ = left_out(self.regressor_, F, z)
        self.widening_ = conformal.scale(log_error.from_scale(*self.left_out_), y)
        return self

    def refit(self, X: IntArray, y: FloatArray) -> Self:
        """Learns from other samples, tuned and widened as it is; a fraction of the time of `fit`.

        Raises:
            NotFittedError: before `fit`.
            ValueError: as `fit`.
        """
        check_is_fitted(self)
        X, y = samples(X, y)
        z = log_error.to_scale(y, self.n_images)
        self.regressor_ = self.regressor_.refit(self.features_(X), z)
        return self

    def predict(self, X: IntArray) -> Prediction:
        """Accuracies of canonical rows (n, d), as fractions.

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        X = as_rows(X)
        if not len(X):
            return Prediction(np.empty(0), np.empty(0))
        mean, std = by_chunks(
            lambda rows: np.stack(self.regressor_.predict(self.features_(rows))),
            X,
            self.features_.width,
        )
        return with_images(log_error.from_scale(mean, std).widened(self.widening_), self.n_images)

    def mean(self, X: IntArray) -> FloatArray:
        """The means alone, (n,)."""
        check_is_fitted(self)
        X = as_rows(X)
        if not len(X):
            return np.empty(0)
        return log_error.to_accuracy(
            by_chunks(
                lambda rows: self.regressor_.mean(self.features_(rows)), X, self.features_.width
            )
        )


def samples(X: IntArray, y: FloatArray) -> tuple[IntArray, FloatArray]:
    """Rows (n, d) and accuracies (n,) that a predictor can learn from.

    Raises:
        ValueError: if there are fewer than 5, or accuracies are not finite, not fractions or all
            the same.
    """
    X, y = as_rows(X), np.asarray(y, dtype=np.float64)
    check(X, y, FEWEST)
    log_error.check(y)
    return X, y


def by_chunks(
    values: Callable[[IntArray], FloatArray], X: IntArray, n_features: int = 0
) -> FloatArray:
    """Values of rows (n, d), (..., n), by so many at a time that features do not fill the memory.

    Args:
        values: of some rows.
        X: all rows, at least one.
        n_features: of a row, if they may be thousands.
    """
    chunk = max(1, min(_CHUNK, _NUMBERS // max(n_features, 1)))
    if len(X) <= chunk:
        return values(X)
    starts = range(0, len(X), chunk)
    return np.concatenate([values(X[start : start + chunk]) for start in starts], axis=-1)


def left_out(regressor: Regressor, F: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means and stds (n,) of each sample by regressors that did not see its fold."""
    mean, std = np.empty(len(z)), np.empty(len(z))
    n_folds = min(len(z), _FOLDS_OF_FEW if len(z) < _FEW else _FOLDS)
    for seen, fresh in KFold(n_folds, shuffle=True, random_state=0).split(F):
        mean[fresh], std[fresh] = regressor.refit(F[seen], z[seen]).predict(F[fresh])
    return mean, std


def with_images(predicted: Prediction, n_images: int | None) -> Prediction:
    """With the binomial error of so many images."""
    if n_images is None:
        return predicted
    p = np.clip(predicted.mean, 0.0, 1.0)
    return Prediction(predicted.mean, np.sqrt(predicted.std**2 + p * (1 - p) / n_images))
