"""Latency predictors by the names of `[latency] predictor`: a line each."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LatencyPredictorEntry:
    """A latency predictor, and what has to be measured for it.

    Attributes:
        path: Python path of what makes it from `LatencyInputs`.
        needs_workloads: True if it rests on a table of all workloads of the space.
        n_samples: networks that are timed whole to learn from, unless a recipe says how many.
        least_samples: the fewest of them that it can learn from; 0 if it needs none.
    """

    path: str
    needs_workloads: bool = True
    n_samples: int = 0
    least_samples: int = 0


_HERE = "tailorbird.predictors.latency"
LATENCY_PREDICTORS: Mapping[str, LatencyPredictorEntry] = {
    "table-sum": LatencyPredictorEntry(f"{_HERE}.table_sum:table_sum"),
    "calibrated-sum": LatencyPredictorEntry(
        f"{_HERE}.calibrated_sum:calibrated_sum", n_samples=20, least_samples=3
    ),
    "inferred-sum": LatencyPredictorEntry(
        f"{_HERE}.inferred_sum:inferred_sum",
        needs_workloads=False,
        n_samples=100,
        least_samples=10,
    ),
}


def entry_of(name: str) -> LatencyPredictorEntry:
    """Entry of a name; that of a Python path needs workloads, and networks if asked for."""
    return LATENCY_PREDICTORS.get(name, LatencyPredictorEntry(name))
