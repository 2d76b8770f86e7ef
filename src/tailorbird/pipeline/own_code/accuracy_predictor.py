"""The accuracy predictor that a recipe names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tailorbird.errors import RecipeError
from tailorbird.pipeline.own_code.predictor import own_predictor, refuse_other_means
from tailorbird.pipeline.own_code.trial import rows_to_try
from tailorbird.pipeline.python_path import resolve, users_code
from tailorbird.predictors import AccuracyInputs, Additive, Learner
from tailorbird.registry.accuracy_predictors import entry_of
from tailorbird.registry.python_paths import is_path, load

_KEY = "[accuracy] predictor"
_METHODS = ("fit", "refit", "predict", "mean")
_MOST = 2.0  # a regression may go beyond 1

MakeLearner = Callable[[AccuracyInputs], Learner]


def accuracy_predictor_of(name: str, home: Path) -> MakeLearner:
    """Makes what the recipe names, before it has learned anything.

    Args:
        name: registered, or a Python path.
        home: folder of the recipe.

    Raises:
        RecipeError: if a path names nothing.
    """
    if not is_path(name):
        registered: MakeLearner = load(entry_of(name).path)
        return registered
    make: Callable[[AccuracyInputs], Any] = resolve(name, home, _KEY)
    named = f"{_KEY} = {name!r}"

    def made(inputs: AccuracyInputs) -> Learner:
        with users_code(named):
            predictor = make(inputs)
        return own_predictor(predictor, named, _METHODS)

    return made


def try_accuracy_predictor(make: MakeLearner, inputs: AccuracyInputs, *, must_add_up: bool) -> None:
    """Has a new predictor learn made-up accuracies, and predict.

    Args:
        make: the user's.
        inputs: for it.
        must_add_up: True if the search needs an `Additive` one.

    Raises:
        RecipeError: if it does not do what it must.
    """
    X = rows_to_try(inputs.space)
    learner = make(inputs)
    if must_add_up and not isinstance(learner, Additive):
        raise RecipeError(
            "An integer program needs what adds up, but what [accuracy] predictor names has no "
            "method `along`. Give it one, or choose another [search] algorithm."
        )
    y = np.linspace(0.5, 0.9, len(X))
    if len(X) > 1:
        learner.fit(X, y)
        learner.refit(X[::-1], y[::-1])
        means = learner.mean(X)
        refuse_other_means(means, learner.predict(X).mean, _KEY)
        if np.abs(means).max() > _MOST:
            raise RecipeError(
                "Accuracies are fractions, of which 1 is all, but what [accuracy] predictor names "
                f"predicts {means[np.argmax(np.abs(means))]:g}, having learned 0.5 to 0.9. Divide "
                "percentages by 100."
            )
