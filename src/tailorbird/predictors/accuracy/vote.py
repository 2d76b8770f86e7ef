"""The predictor of accuracy: a vote of models, or one of them alone."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from tailorbird.notebook import counted
from tailorbird.predictors import conformal
from tailorbird.predictors.accuracy import log_error
from tailorbird.predictors.accuracy.evaluated_samples import by_chunks, left_out, samples
from tailorbird.predictors.accuracy.features import Extra, Features, View
from tailorbird.predictors.accuracy.hyperparameters import maximise
from tailorbird.predictors.accuracy.model import DEFAULT, Model
from tailorbird.predictors.metrics import kendall_tau
from tailorbird.predictors.prediction import Prediction
from tailorbird.predictors.regressors import Regressor
from tailorbird.predictors.sample_checks import as_rows, check_is_fitted
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

_TEMPERATURE = 0.2  # of rank correlation, over sqrt(n): about what it is uncertain by
_LEAST_WEIGHT = 0.1  # of the best; less is not worth its time
_KEPT_TRIALS = 2


@dataclass(frozen=True, slots=True, eq=False)
class _Voter:
    """A fitted model.

    Attributes:
        model: what it is.
        regressor: fitted to all samples.
        left_out: each sample as predicted from the other folds, on the scale of logarithmic errors.
        tau: rank correlation of those with the truth.
    """

    model: Model
    regressor: Regressor
    left_out: Prediction
    tau: float


class AccuracyPredictor(BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """Accuracy on the scale of logarithmic errors, with calibrated stds.

    Models vote by their cross-validated rank correlation: which one is best depends on space and
    number of samples, so that is measured, and weights are exp((tau - best tau) * sqrt(n) / 0.2).
    A model alone is a vote of one. With a time budget, Optuna looks for better hyperparameters,
    and the best that it finds join the vote; without, the result depends on the samples alone.

    Stds are widened until nine in ten accuracies lie in the 90 % interval that was predicted for
    them from the other folds. How far the images that networks were evaluated on stand for others
    is the same for all networks, so it cannot be seen in residuals; it is added as binomial error.

    Args:
        space: of the architectures.
        models: that vote.
        n_images: on which accuracies were measured; None to leave their error out.
        seconds: for hyperparameters.
        extra: more features, such as zero-cost scores.

    Attributes:
        voters_: models that have a weight, fitted.
        weights_: theirs, which add up to 1.
        taus_: cross-validated rank correlation of each model, by name.

    References:
        Caruana, Niculescu-Mizil, Crew, Ksikes: Ensemble Selection from Libraries of Models.
        ICML 2004.
        Akiba, Sano, Yanase, Ohta, Koyama: Optuna. KDD 2019.
    """

    def __init__(
        self,
        space: SearchSpace,
        models: Sequence[Model] = (DEFAULT,),
        n_images: int | None = None,
        seconds: float = 0.0,
        extra: Extra | None = None,
    ) -> None:
        self.space = space
        self.models = models
        self.n_images = n_images
        self.seconds = seconds
        self.extra = extra

    def __repr__(self) -> str:
        return f"AccuracyPredictor({self.space!r}, {counted(len(self.models), 'model')})"

    def fit(self, X: IntArray, y: FloatArray) -> Self:
        """Learns from accuracies y (n,), as fractions, of canonical rows X (n, d).

        Raises:
            ValueError: if rows are not canonical, there are fewer than 5, or accuracies are not
                finite, not fractions or all the same.
        """
        X, y = samples(X, y)
        started = time.monotonic()
        z = log_error.to_scale(y, self.n_images)
        self.features_ = {
            view: Features(self.space, view, self.extra)
            for view in dict.fromkeys(model.view for model in self.models)
        }
        F = {view: features(X) for view, features in self.features_.items()}
        voters = [_voter(model, F, z) for model in self.models]
        left = self.seconds - (time.monotonic() - started)
        if left > 0:
            voters += _tuned(F, z, left)
        taus = np.array([voter.tau for voter in voters])
        weights = np.exp((taus - taus.max()) * np.sqrt(len(y)) / _TEMPERATURE)
        weights /= weights.sum()
        kept = np.flatnonzero(weights >= _LEAST_WEIGHT * weights.max())
        self.voters_ = [voters[i] for i in kept]
        self.weights_ = weights[kept] / weights[kept].sum()
        self.taus_ = {voter.model.name: voter.tau for voter in voters}
        each = [(voter.left_out.mean, voter.left_out.std) for voter in self.voters_]
        self.widening_ = conformal.scale(log_error.from_scale(*self._vote(each)), y)
        return self

    def refit(self, X: IntArray, y: FloatArray) -> Self:
        """Learns from other samples with the same voters; a fraction of the time of `fit`.

        Raises:
            NotFittedError: before `fit`.
            ValueError: as `fit`.
        """
        check_is_fitted(self)
        X, y = samples(X, y)
        F, z = self._seen(X), log_error.to_scale(y, self.n_images)
        self.voters_ = [
            replace(voter, regressor=voter.regressor.refit(F[voter.model.view], z))
            for voter in self.voters_
        ]
        return self

    def predict(self, X: IntArray) -> Prediction:
        """Accuracies of canonical rows (n, d), as fractions.

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        mean, std = by_chunks(self._votes, as_rows(X), self._width, n_values=2)
        predicted = log_error.from_scale(mean, std).widened(self.widening_)
        return log_error.with_images(predicted, self.n_images)

    def mean(self, X: IntArray) -> FloatArray:
        """The means alone, (n,).

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        return log_error.to_accuracy(by_chunks(self._mean, as_rows(X), self._width)[0])

    @property
    def _width(self) -> int:
        return max(features.width for features in self.features_.values())

    def _votes(self, X: IntArray) -> FloatArray:
        """Mean and std of the mixture, (2, n)."""
        F = self._seen(X)
        return np.stack(self._vote([v.regressor.predict(F[v.model.view]) for v in self.voters_]))

    def _mean(self, X: IntArray) -> FloatArray:
        F = self._seen(X)
        each = np.stack([voter.regressor.mean(F[voter.model.view]) for voter in self.voters_])
        return np.asarray(self.weights_ @ each)

    def _seen(self, X: IntArray) -> dict[View, FloatArray]:
        views = dict.fromkeys(voter.model.view for voter in self.voters_)
        return {view: self.features_[view](X) for view in views}

    def _vote(self, each: list[tuple[FloatArray, FloatArray]]) -> tuple[FloatArray, FloatArray]:
        """Mean and std of the mixture."""
        if len(each) == 1:
            return each[0]
        means, stds = (np.stack(part) for part in zip(*each, strict=True))
        mean = self.weights_ @ means
        variance = self.weights_ @ (stds**2 + (means - mean) ** 2)
        return mean, np.sqrt(variance)


def _voter(model: Model, F: Mapping[View, FloatArray], z: FloatArray) -> _Voter:
    regressor = model.make().fit(F[model.view], z)
    others = left_out(regressor, F[model.view], z)
    tau = kendall_tau(others.mean, z)
    return _Voter(model, regressor, others, tau if np.isfinite(tau) else -1.0)


def _tuned(F: Mapping[View, FloatArray], z: FloatArray, seconds: float) -> list[_Voter]:
    """Models with the best hyperparameters that are found in this time."""
    voters: list[_Voter] = []

    def score(model: Model) -> float:
        voters.append(_voter(model, F, z))
        return voters[-1].tau

    maximise(score, list(F), seconds)
    return sorted(voters, key=lambda voter: voter.tau)[-_KEPT_TRIALS:]
