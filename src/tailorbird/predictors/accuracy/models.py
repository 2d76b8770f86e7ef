"""Models of accuracy by name: each alone is a predictor, and all vote in `auto`."""

from functools import partial

from tailorbird.predictors.accuracy.inputs import AccuracyInputs
from tailorbird.predictors.accuracy.model import DEFAULT, Model
from tailorbird.predictors.accuracy.vote import AccuracyPredictor
from tailorbird.predictors.regressors import Forest, Process, Ridge, boosting, perceptrons

MODELS = {
    model.name: model
    for model in (
        DEFAULT,
        Model("process-totals", "totals", Process),
        Model("process-places", "places", Process),
        Model("ridge", "places", Ridge),
        Model("forest", "places", Forest),
        Model("boosting", "places", boosting),
        Model("perceptrons", "places", perceptrons),
    )
}
"""Structure of cells, their paths, is in the places; free statistics are in totals and places."""


def auto(inputs: AccuracyInputs) -> AccuracyPredictor:
    """A vote of all models, and of what `seconds` of tuning find."""
    return AccuracyPredictor(
        inputs.space, tuple(MODELS.values()), inputs.n_images, inputs.seconds, inputs.extra
    )


def _alone(name: str, inputs: AccuracyInputs) -> AccuracyPredictor:
    return AccuracyPredictor(inputs.space, (MODELS[name],), inputs.n_images, extra=inputs.extra)


process = partial(_alone, "process")
process_totals = partial(_alone, "process-totals")
process_places = partial(_alone, "process-places")
ridge = partial(_alone, "ridge")
forest = partial(_alone, "forest")
boosted_trees = partial(_alone, "boosting")
averaged_perceptrons = partial(_alone, "perceptrons")
