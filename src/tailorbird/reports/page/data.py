"""Figures of networks for the script of a page."""

import json
import math
from collections.abc import Mapping

import pandas as pd

from tailorbird.reports.answer import chosen_by
from tailorbird.reports.measures import Measure, best_known_ms
from tailorbird.reports.plots.parallel import range_of
from tailorbird.spaces import FloatArray


def data_of(front: pd.DataFrame, measures: tuple[Measure, ...], limits: Mapping[str, float]) -> str:
    """JSON that can stand inside HTML: numbers alone, null where one is not known.

    Args:
        front: networks, numbered from 0.
        measures: accuracy first, then costs.
        limits: budgets to begin with, by objective.
    """
    accuracies = chosen_by(front)
    values = [measure.values(front) for measure in measures]
    costs = [_or_predicted(front, measure) for measure in measures[1:]]
    networks = [
        {
            "number": number,
            "accuracy": _known(accuracies[number]),
            "costs": [_known(cost[number]) for cost in costs],
            "values": [_known(value[number]) for value in values],
        }
        for number in range(len(front))
    ]
    axes = []
    for measure in measures:
        scale = range_of(measure, front)
        ends = (scale.high, scale.low) if measure.is_better_high else (scale.low, scale.high)
        axes.append({"best": ends[0], "worst": ends[1], "log": scale.is_log})
    by = "validation images" if front["accuracy_validation"].notna().any() else "predictions"
    known = {
        "networks": networks,
        "axes": axes,
        "limits": [limits.get(measure.objective) for measure in measures[1:]],
        "by": by,
    }
    return json.dumps(known, allow_nan=False)


def _or_predicted(front: pd.DataFrame, measure: Measure) -> FloatArray:
    """Values of a cost; a network that could not be timed has its predicted latency."""
    if measure.column != "latency_ms_measured":
        return measure.values(front)
    return best_known_ms(front)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
