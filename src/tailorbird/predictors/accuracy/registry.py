"""Predictors of accuracy by the names that recipes know."""

from tailorbird.errors import nearest
from tailorbird.predictors.accuracy.additive import AdditiveAccuracy
from tailorbird.predictors.accuracy.ensemble import AutoPredictor
from tailorbird.predictors.accuracy.features import Extra
from tailorbird.predictors.accuracy.models import MODELS
from tailorbird.predictors.accuracy.path_features import layered
from tailorbird.predictors.accuracy.single_model import AccuracyPredictor
from tailorbird.spaces import SearchSpace


def accuracy_predictor(
    name: str,
    space: SearchSpace,
    n_images: int | None = None,
    seconds: float = 0.0,
    extra: Extra | None = None,
) -> AccuracyPredictor | AdditiveAccuracy | AutoPredictor:
    """An unfitted one: `auto`, or a model alone.

    Args:
        name: `auto`, `additive` or one of MODELS.
        space: of the architectures.
        n_images: on which accuracies were measured.
        seconds: for the hyperparameters of `auto`.
        extra: more features.

    Raises:
        ValueError: if there is no such predictor, or `additive` does not go with space or features.
    """
    if name == "auto":
        return AutoPredictor(space, n_images, seconds, extra)
    if name == "additive":
        if extra is not None:
            raise ValueError(
                "`additive` learns what each choice adds, but more features were given, such as "
                "zero-cost scores. Leave them out, or choose another model."
            )
        layered(space)  # else this is told after all networks were evaluated
        return AdditiveAccuracy(space, n_images)
    if name not in MODELS:
        hint = nearest(name, ["auto", "additive", *MODELS])
        raise ValueError(f"There is no predictor named {name!r}; {hint}")
    return AccuracyPredictor(space, MODELS[name], n_images, extra)
