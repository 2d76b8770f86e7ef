"""The models of accuracy that are known by name."""

from tailorbird.predictors.accuracy import DEFAULT, Model
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
