"""The models of accuracy that are known by name."""

from tailorbird.predictors.accuracy.single_model import DEFAULT, Model
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

IN_PAIRS = frozenset({"auto", *(name for name, model in MODELS.items() if model.make is Process)})
"""Predictors that compare samples pair by pair, see `MOST_IN_PAIRS`; `auto` lets all vote."""
