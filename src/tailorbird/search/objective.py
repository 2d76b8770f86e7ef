"""What a search trades off. Everything inside a search is minimised."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tailorbird.predictors import FloatArray, Predictor
from tailorbird.spaces import IntArray, SearchSpace


@dataclass(frozen=True, slots=True)
class Objective:
    """A predicted property that is to be small or large.

    Attributes:
        name: such as `latency`.
        unit: of values and limit, such as `ms`; empty for a fraction.
        sense: which way is better.
        predictor: gives it.
        limit: the worst value that is allowed.
    """

    name: str
    unit: str
    sense: Literal["min", "max"]
    predictor: Predictor
    limit: float | None = None

    @property
    def column(self) -> str:
        """Name with unit, as in tables."""
        return f"{self.name}_{self.unit}" if self.unit else self.name

    @property
    def sign(self) -> int:
        """Turns natural values into minimised ones, and back."""
        return 1 if self.sense == "min" else -1


def minimised(objectives: tuple[Objective, ...], X: IntArray) -> FloatArray:
    """Minimised values of canonical rows (n, d), (n, m), without how sure they are."""
    return np.column_stack([o.sign * o.predictor.mean(X) for o in objectives])


def evaluate(objectives: tuple[Objective, ...], X: IntArray) -> tuple[FloatArray, FloatArray]:
    """Minimised values and standard deviations of canonical rows (n, d), both (n, m)."""
    predictions = [objective.predictor.predict(X) for objective in objectives]
    F = np.column_stack([o.sign * p.mean for o, p in zip(objectives, predictions, strict=True)])
    return F, np.column_stack([p.std for p in predictions])


def violation(objectives: tuple[Objective, ...], F: FloatArray) -> FloatArray:
    """By how much each limit is exceeded, (n, number of limits); met where <= 0."""
    excess = [F[:, i] - o.sign * o.limit for i, o in enumerate(objectives) if o.limit is not None]
    return np.column_stack(excess) if excess else np.empty((len(F), 0))


def reference_point(space: SearchSpace, objectives: tuple[Objective, ...], seed: int) -> FloatArray:
    """A point that hardly any network is worse than, of minimised values (m,).

    Fronts of one space are compared by the hypervolume between them and this point. It is the
    worst of a thousand random networks and a tenth of the range more, so that the ends of a
    front count as well.
    """
    sampled = space.sample(1000, np.random.default_rng(seed))
    F = minimised(objectives, np.vstack([space.landmarks, sampled]))
    return np.asarray(F.max(axis=0) + 0.1 * np.ptp(F, axis=0))
