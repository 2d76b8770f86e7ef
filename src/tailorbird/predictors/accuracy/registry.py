"""Accuracy predictors by name."""

from tailorbird.errors import nearest
from tailorbird.predictors.accuracy.features import Extra
from tailorbird.predictors.accuracy.inputs import AccuracyInputs
from tailorbird.predictors.prediction import Learner
from tailorbird.registry.accuracy_predictors import ACCURACY_PREDICTORS
from tailorbird.registry.python_paths import load
from tailorbird.spaces import SearchSpace


def accuracy_predictor(
    name: str,
    space: SearchSpace,
    n_images: int | None = None,
    seconds: float = 0.0,
    extra: Extra | None = None,
) -> Learner:
    """A predictor that has learned nothing yet.

    Args:
        name: of ACCURACY_PREDICTORS.
        space: of the architectures.
        n_images: on which accuracies were measured.
        seconds: for hyperparameters, if the predictor tunes any.
        extra: more features.

    Raises:
        ValueError: if there is no such predictor, or it does not go with space or features.
    """
    if name not in ACCURACY_PREDICTORS:
        hint = nearest(name, ACCURACY_PREDICTORS)
        raise ValueError(f"There is no predictor named {name!r}; {hint}")
    predictor: Learner = load(ACCURACY_PREDICTORS[name].path)(
        AccuracyInputs(space, n_images, seconds, extra)
    )
    return predictor
