"""What a search trades off. Everything inside a search is minimised."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tailorbird.predictors import Predictor
from tailorbird.predictors.prediction import FloatArray
from tailorbird.spaces import IntArray


@dataclass(frozen=True, slots=True)
class Objective:
    """A predicted property that is to be small or large.

    Attributes:
        name: such as `latency`.
        unit: of values and limits; empty for a fraction.
        sense: which way is better.
        predictor: gives it.
        limit: the worst value that is allowed, in `unit`.
    """

    name: str
    unit: str
    sense: Literal["min", "max"]
    predictor: Predictor
    limit: float | None = None

    @property
    def sign(self) -> int:
        """Turns natural values into minimised ones, and back."""
        return 1 if self.sense == "min" else -1


def evaluate(objectives: tuple[Objective, ...], X: IntArray) -> tuple[FloatArray, FloatArray]:
    """Minimised values and standard deviations, both (n, m)."""
    predictions = [objective.predictor.predict(X) for objective in objectives]
    F = np.column_stack([o.sign * p.mean for o, p in zip(objectives, predictions, strict=True)])
    return F, np.column_stack([p.std for p in predictions])


def violation(objectives: tuple[Objective, ...], F: FloatArray) -> FloatArray:
    """By how much each limit is exceeded, (n, number of limits); feasible where <= 0."""
    columns = [
        F[:, i] - o.sign * o.limit for i, o in enumerate(objectives) if o.limit is not None
    ]
    return np.column_stack(columns) if columns else np.empty((len(F), 0))
