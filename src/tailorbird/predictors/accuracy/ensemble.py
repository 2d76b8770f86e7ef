"""The predictor that weighs all others by how well they rank what they did not see."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import optuna
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from tailorbird.predictors import conformal
from tailorbird.predictors.accuracy import log_error
from tailorbird.predictors.accuracy.features import Extra, Features, View
from tailorbird.predictors.accuracy.models import MODELS
from tailorbird.predictors.accuracy.single_model import (
    Model,
    by_chunks,
    left_out,
    samples,
    with_images,
)
from tailorbird.predictors.metrics import kendall_tau
from tailorbird.predictors.prediction import Prediction
from tailorbird.predictors.regressors import (
    Forest,
    Process,
    Regressor,
    boosting,
    perceptrons,
)
from tailorbird.predictors.sample_checks import as_rows
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
        left_out: means and stds of each sample from the other folds.
        tau: rank correlation of those with the truth.
    """

    model: Model
    regressor: Regressor
    left_out: tuple[FloatArray, FloatArray]
    tau: float


class AutoPredictor(BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """A vote of models, each by its cross-validated rank correlation at hand.

    Which model is best depends on space and number of samples, so that is measured: weights are
    exp((tau - best tau) * sqrt(n) / 0.2). With a time budget, Optuna looks for better
    hyperparameters, and the best that it finds join the vote; without, the result depends on the
    samples alone.

    Args:
        space: of the architectures.
        n_images: on which accuracies were measured; None to leave their error out.
        seconds: for hyperparameters.
        extra: more features, such as zero-cost scores.
        models: that vote.

    References:
        Caruana, Niculescu-Mizil, Crew, Ksikes: Ensemble Selection from Libraries of Models.
        ICML 2004.
        Akiba, Sano, Yanase, Ohta, Koyama: Optuna. KDD 2019.
    """

    def __init__(
        self,
        space: SearchSpace,
        n_images: int | None = None,
        seconds: float = 0.0,
        extra: Extra | None = None,
        models: Mapping[str, Model] = MODELS,
    ) -> None:
        self.space = space
        self.n_images = n_images
        self.seconds = seconds
        self.extra = extra
        self.models = models

    def fit(self, X: IntArray, y: FloatArray) -> Self:
        """Learns from accuracies y (n,), as fractions, of canonical rows X (n, d).

        Raises:
            ValueError: as `AccuracyPredictor.fit`.
        """
        X, y = samples(X, y)
        started = time.monotonic()
        z = log_error.to_scale(y, self.n_images)
        self.features_ = {
            view: Features(self.space, view, self.extra)
            for view in dict.fromkeys(model.view for model in self.models.values())
        }
        F = {view: features(X) for view, features in self.features_.items()}
        voters = [_voter(model, F, z) for model in self.models.values()]
        left = self.seconds - (time.monotonic() - started)
        if left > 0:
            voters += self._tuned(F, z, left)
        taus = np.array([voter.tau for voter in voters])
        weights = np.exp((taus - taus.max()) * np.sqrt(len(y)) / _TEMPERATURE)
        weights /= weights.sum()
        kept = np.flatnonzero(weights >= _LEAST_WEIGHT * weights.max())
        self.voters_ = [voters[i] for i in kept]
        self.weights_ = weights[kept] / weights[kept].sum()
        self.taus_ = {voter.model.name: voter.tau for voter in voters}
        mean, std = self._vote([voter.left_out for voter in self.voters_])
        self.widening_ = conformal.scale(log_error.from_scale(mean, std), y)
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
        X = as_rows(X)
        if not len(X):
            return Prediction(np.empty(0), np.empty(0))
        mean, std = by_chunks(self._votes, X, self._width)
        return with_images(log_error.from_scale(mean, std).widened(self.widening_), self.n_images)

    def mean(self, X: IntArray) -> FloatArray:
        """The means alone, (n,)."""
        check_is_fitted(self)
        X = as_rows(X)
        if not len(X):
            return np.empty(0)
        return log_error.to_accuracy(by_chunks(self._mean, X, self._width))

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
        means, stds = (np.stack(part) for part in zip(*each, strict=True))
        mean = self.weights_ @ means
        variance = self.weights_ @ (stds**2 + (means - mean) ** 2)
        return mean, np.sqrt(variance)

    def _tuned(self, F: Mapping[View, FloatArray], z: FloatArray, seconds: float) -> list[_Voter]:
        """The best that Optuna finds in this time."""
        found: list[_Voter] = []

        def objective(trial: optuna.Trial) -> float:
            found.append(_voter(_suggested(trial, list(F)), F, z))
            return found[-1].tau

        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            study = optuna.create_study(
                direction="maximize", sampler=optuna.samplers.TPESampler(seed=0)
            )
            study.optimize(objective, timeout=seconds)
        finally:
            optuna.logging.set_verbosity(verbosity)
        return sorted(found, key=lambda voter: voter.tau)[-_KEPT_TRIALS:]


def _voter(model: Model, F: Mapping[View, FloatArray], z: FloatArray) -> _Voter:
    regressor = model.make().fit(F[model.view], z)
    others = left_out(regressor, F[model.view], z)
    tau = kendall_tau(others[0], z)
    return _Voter(model, regressor, others, tau if np.isfinite(tau) else -1.0)


def _suggested(trial: optuna.Trial, views: list[View]) -> Model:
    """A model of any kind with hyperparameters from the ranges that are usual."""
    view = views[trial.suggest_int("view", 0, len(views) - 1)]
    kind = trial.suggest_categorical("kind", ["process", "forest", "boosting", "perceptrons"])
    regressor: Regressor
    if kind == "process":
        regressor = Process(trial.suggest_categorical("nu", [0.5, 1.5, 2.5]))
    elif kind == "forest":
        share = trial.suggest_float("max_features", 0.1, 1.0)
        regressor = Forest(share, trial.suggest_int("min_samples_leaf", 1, 5))
    elif kind == "boosting":
        rate = trial.suggest_float("learning_rate", 0.02, 0.3, log=True)
        regressor = boosting(rate, trial.suggest_int("max_depth", 1, 6))
    else:
        width = trial.suggest_int("width", 8, 128, log=True)
        regressor = perceptrons(width, trial.suggest_float("alpha", 1e-3, 10.0, log=True))
    return Model(f"{kind} {trial.number}", view, lambda: regressor)
