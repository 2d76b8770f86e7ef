"""Hyperparameters of models of accuracy, searched by Optuna."""

from collections.abc import Callable, Sequence

import optuna

from tailorbird.predictors.accuracy.features import View
from tailorbird.predictors.accuracy.model import Model
from tailorbird.predictors.regressors import (
    Forest,
    Process,
    Regressor,
    boosting,
    perceptrons,
)


def maximise(score: Callable[[Model], float], views: Sequence[View], seconds: float) -> None:
    """Scores models for this time, each where those before it promise most.

    Args:
        score: the larger, the better a model.
        views: that models may see.
        seconds: after which no further model is tried.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=0)
        )
        study.optimize(lambda trial: score(_suggested(trial, views)), timeout=seconds)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _suggested(trial: optuna.Trial, views: Sequence[View]) -> Model:
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
