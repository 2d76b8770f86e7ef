"""Objectives and constraints of a search, inside which everything is minimised."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import exactly, plain
from tailorbird.predictors import Predictor
from tailorbird.spaces import FloatArray

_ALWAYS_POSITIVE = {"ms"}


@dataclass(frozen=True, slots=True)
class Objective:
    """A predicted property that is to be small or large.

    Attributes:
        name: such as `latency`.
        unit: of its values, such as `ms`; empty for a fraction.
        sense: which way is better.
        predictor: gives it.
    """

    name: str
    unit: str
    sense: Literal["min", "max"]
    predictor: Predictor

    def __repr__(self) -> str:
        return plain(f"Objective({self}, {type(self.predictor).__name__})")

    def __str__(self) -> str:
        return f"{self.column} {self.sense}"

    @property
    def column(self) -> str:
        """Name with unit, as in tables."""
        return f"{self.name}_{self.unit}" if self.unit else self.name

    @property
    def law(self) -> str:
        """What holds for its values, whatever predicts them."""
        return "finite and positive" if self.unit in _ALWAYS_POSITIVE else "finite"

    def allows(self, values: FloatArray) -> NDArray[np.bool_]:
        """True for values (n,) for which the law holds, (n,)."""
        least = 0.0 if self.unit in _ALWAYS_POSITIVE else -np.inf
        return (values > least) & (values < np.inf)

    @property
    def sign(self) -> int:
        """Factor, 1 or -1, that turns natural values into minimised ones, and back."""
        return 1 if self.sense == "min" else -1


@dataclass(frozen=True, slots=True)
class Constraint:
    """The worst value that is allowed of a property, traded off or not.

    Attributes:
        objective: whose values are limited.
        limit: the worst of them, in its unit.
    """

    objective: Objective
    limit: float

    def __repr__(self) -> str:
        return plain(f"Constraint({self})")

    @property
    def unit(self) -> float:
        """Unit of violations: the absolute limit, or 1."""
        return abs(self.limit) or 1.0

    def __str__(self) -> str:
        sign = "<=" if self.objective.sense == "min" else ">="
        return f"{self.objective.column} {sign} {exactly(self.limit)}"
