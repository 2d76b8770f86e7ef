"""Problem of a search: a space, objectives and constraints."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from tailorbird.errors import PriceError, plain
from tailorbird.predictors import Prediction
from tailorbird.search.objective import Constraint, Objective
from tailorbird.spaces import FloatArray, IntArray, SearchSpace


@dataclass(frozen=True, slots=True)
class Problem:
    """A space, objectives to trade off in it, and constraints.

    Attributes:
        space: searched.
        objectives: one or more, m.
        constraints: any number, k, on objectives of this problem or on other properties.
    """

    space: SearchSpace
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()

    def __repr__(self) -> str:
        asked = ", ".join(map(str, (*self.objectives, *self.constraints)))
        return plain(f"Problem({asked}, {self.space!r})")

    def minimised(self, X: IntArray) -> FloatArray:
        """Minimised values of canonical rows (n, d), (n, m), without how sure they are."""
        return np.column_stack([o.sign * self.mean(o, X) for o in self.objectives])

    def predict(self, X: IntArray) -> tuple[FloatArray, FloatArray]:
        """Minimised values and standard deviations of canonical rows (n, d), both (n, m)."""
        F, std = np.empty((2, len(X), len(self.objectives)))
        for i, objective in enumerate(self.objectives):
            predicted = self.prediction(objective, X)
            F[:, i], std[:, i] = objective.sign * predicted.mean, predicted.std
        return F, std

    def violation(self, X: IntArray, F: FloatArray) -> FloatArray:
        """Fraction of itself by which each constraint is exceeded, (n, k); met where <= 0.

        Args:
            X: canonical rows, (n, d).
            F: their minimised values, (n, m), so that none is predicted twice.
        """
        G = np.empty((len(X), len(self.constraints)))
        for i, constraint in enumerate(self.constraints):
            limited = constraint.objective
            if limited in self.objectives:
                value = F[:, self.objectives.index(limited)]
            else:
                value = limited.sign * self.mean(limited, X)
            G[:, i] = (value - limited.sign * constraint.limit) / constraint.unit
        return G

    def chance(self, X: IntArray, F: FloatArray, std: FloatArray) -> FloatArray:
        """Probability that all constraints are met, (n,), if objectives are normal and independent.

        Args:
            X: canonical rows, (n, d).
            F: their minimised values, (n, m).
            std: of F, (n, m); other constrained properties are taken for sure.
        """
        chance = np.ones(len(X))
        for constraint, g in zip(self.constraints, self.violation(X, F).T, strict=True):
            spread = np.zeros(len(X))
            if constraint.objective in self.objectives:
                spread = std[:, self.objectives.index(constraint.objective)] / constraint.unit
            unsure = spread > 0
            likely = norm.cdf(-g / np.where(unsure, spread, 1.0))
            chance *= np.where(unsure, likely, g <= 0)
        return chance

    def reference_point(self, seed: int) -> FloatArray:
        """Reference point: minimised values (m,) that hardly any network is worse than.

        Fronts of one space are compared by the hypervolume between them and this point. It is the
        worst of a thousand random networks and a tenth of the range more, so that the ends of a
        front count as well.
        """
        sampled = self.space.sample(1000, np.random.default_rng(seed))
        F = self.minimised(np.vstack([self.space.landmarks, sampled]))
        return beyond(F)

    def mean(self, objective: Objective, X: IntArray) -> FloatArray:
        """Predicted values of canonical rows (n, d) in their natural sense, (n,).

        Raises:
            PriceError: if any cannot be, naming the network and what it is made of.
        """
        values = objective.predictor.mean(X)
        self._refuse(objective, values, ~objective.allows(values), X)
        return values

    def prediction(self, objective: Objective, X: IntArray) -> Prediction:
        """Predicted values of canonical rows (n, d) in their natural sense, with stds, (n,) each.

        Raises:
            PriceError: if a value or its standard deviation cannot be.
        """
        predicted = objective.predictor.predict(X)
        self._refuse(objective, predicted.mean, ~objective.allows(predicted.mean), X)
        is_std = (predicted.std >= 0) & (predicted.std < np.inf)
        self._refuse(objective, predicted.std, ~is_std, X, " standard deviation")
        return predicted

    def _refuse(
        self,
        objective: Objective,
        values: FloatArray,
        wrong: NDArray[np.bool_],
        X: IntArray,
        of: str = "",
    ) -> None:
        if not wrong.any():
            return
        row = int(np.argmax(wrong))
        law = "finite and not negative" if of else objective.law
        raise PriceError(
            f"{objective.column}{of} must be {law}, but the predictor gives {values[row]:g} for "
            f"{self.space.describe(X[row])}{self._made_of(X[row])}. Look for what is wrong in "
            "its table, which `tailorbird table show` lists, or name another predictor."
        )

    def _made_of(self, row: IntArray) -> str:
        """Says what workloads a canonical row has, if that is known."""
        if not self.space.workloads:
            return ""
        keys = [self.space.workloads[i].key for i in self.space.count_workloads(row[None]).indices]
        others = ", ..." if len(keys) > 3 else ""
        return f", which is made of {len(keys)} workloads ({', '.join(keys[:3])}{others})"


def beyond(F: FloatArray) -> FloatArray:
    """A point that is worse than all of minimised values (n, m) by a tenth of their range, (m,).

    Where they are all the same it is 0.1, or there would be no volume between.
    """
    span = np.ptp(F, axis=0)
    return np.asarray(F.max(axis=0) + 0.1 * np.where(span > 0, span, 1.0))
