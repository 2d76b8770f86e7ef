"""Networks that were truly evaluated, in that order, and what learners learn from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import moocore
import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import EvaluationError
from tailorbird.notebook import counted
from tailorbird.predictors import Learner
from tailorbird.predictors.accuracy.evaluated_samples import FEWEST
from tailorbird.search.front import ParetoFront, nearest_miss
from tailorbird.search.objective import Objective
from tailorbird.search.problem import Problem
from tailorbird.spaces import FloatArray, IntArray

_GROWTH = 1.25  # of the values since learners were tuned


@dataclass(frozen=True, slots=True, eq=False)
class Unknown:
    """An objective whose values only true evaluations give.

    Attributes:
        objective: one of the problem's; its predictor is fitted anew to all evaluations before
            each batch.
        evaluate: true values (n,) of canonical rows (n, d); NaN where that failed.
        noise_std: standard deviations (n,) of true values (n,).

    Raises:
        TypeError: if its predictor does not learn.
    """

    objective: Objective
    evaluate: Callable[[IntArray], FloatArray]
    noise_std: Callable[[FloatArray], FloatArray] = np.zeros_like

    def __post_init__(self) -> None:
        _ = self.learner  # refuses what does not learn

    @property
    def learner(self) -> Learner:
        """Predictor of the objective."""
        learner = self.objective.predictor
        if not isinstance(learner, Learner):
            raise TypeError(
                "What is unknown is predicted from evaluations, so its predictor must have `fit` "
                f"and `refit`, but that of {self.objective.column} is {type(learner).__name__}, "
                "which does not learn. Take `tailorbird.predictors.AccuracyPredictor(space)`."
            )
        return learner


class Evaluated:
    """Networks that were truly evaluated.

    Args:
        problem: whose other objectives are predicted.
        unknown: objectives that are evaluated.

    Attributes:
        X: canonical rows, failures included, (n, d).
        F: minimised values, NaN where any evaluation failed, (n, m).
        G: fraction of itself by which each constraint is exceeded, likewise, (n, k).
    """

    def __init__(self, problem: Problem, unknown: Sequence[Unknown]) -> None:
        self.problem = problem
        self.unknown = {problem.objectives.index(each.objective): each for each in unknown}
        self.X: IntArray = np.empty((0, len(problem.space.variables)), dtype=np.int64)
        self.F: FloatArray = np.empty((0, len(problem.objectives)))
        self.G: FloatArray = np.empty((0, len(problem.constraints)))
        self._n_tuned = 0

    def __repr__(self) -> str:
        n, n_failed = counted(len(self.X), "network"), np.count_nonzero(~self.succeeded)
        return f"Evaluated({n}, {n_failed:,} failed)"

    @property
    def without_unknown_limits(self) -> Problem:
        """The problem without constraints on what is unknown before any evaluation."""
        unknown = [each.objective for each in self.unknown.values()]
        limits = tuple(c for c in self.problem.constraints if c.objective not in unknown)
        return replace(self.problem, constraints=limits)

    def fresh(self, X: IntArray) -> IntArray:
        """Those of rows (n, d) that were not evaluated, each once, in their order."""
        seen = set(map(tuple, self.X.tolist()))
        new = [row for row in dict.fromkeys(map(tuple, X.tolist())) if row not in seen]
        return np.array(new, dtype=np.int64).reshape(-1, X.shape[1])

    def add(self, X: IntArray) -> None:
        """Evaluates canonical rows (n, d), and remembers their values."""
        F = self.priced(X)
        for i, each in self.unknown.items():
            F[:, i] = each.objective.sign * each.evaluate(X)
        F[~np.isfinite(F).all(axis=1)] = np.nan
        self.X, self.F = np.vstack([self.X, X]), np.vstack([self.F, F])
        self.G = np.vstack([self.G, self.problem.violation(X, F)])

    def priced(self, X: IntArray) -> FloatArray:
        """Predicted minimised values of rows (n, d), NaN where they are unknown, (n, m)."""
        F = np.full((len(X), len(self.problem.objectives)), np.nan)
        for i, objective in enumerate(self.problem.objectives):
            if i not in self.unknown:
                F[:, i] = objective.sign * self.problem.mean(objective, X)
        return F

    @property
    def succeeded(self) -> NDArray[np.bool_]:
        """True for rows that have values, (n,)."""
        return np.asarray(np.isfinite(self.F).all(axis=1))

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """True for rows whose values are within the constraints, (n,)."""
        return np.asarray(self.succeeded & (self.G <= 0).all(axis=1))

    def values(self, objective: Objective) -> tuple[IntArray, FloatArray]:
        """Rows (n, d) that have values, and those of one objective in its natural sense, (n,)."""
        known, i = self.succeeded, self.problem.objectives.index(objective)
        return self.X[known], objective.sign * self.F[known, i]

    def teach(self) -> bool:
        """Fits the learners to all values; false if there is too little to learn from yet.

        How they learn is tuned anew only when there is much more to learn from: that takes most of
        the time, and changes little in between.
        """
        known = self.succeeded
        F = self.F[known]
        if not self._teaches(known):
            return False
        tunes = len(F) >= _GROWTH * self._n_tuned
        for i, each in self.unknown.items():
            learn = each.learner.fit if tunes else each.learner.refit
            learn(self.X[known], each.objective.sign * F[:, i])
        self._n_tuned = len(F) if tunes else self._n_tuned
        return True

    def _teaches(self, known: NDArray[np.bool_]) -> bool:
        F = self.F[known]
        return len(F) >= FEWEST and all(np.ptp(F[:, i]) > 0.0 for i in self.unknown)

    def predict(self, X: IntArray) -> tuple[FloatArray, FloatArray]:
        """Predicted minimised values of rows (n, d), and stds, 0 of what is not unknown, (n, m)."""
        F = self.priced(X)
        std = np.zeros_like(F)
        for i, each in self.unknown.items():
            predicted = each.learner.predict(X)
            F[:, i], std[:, i] = each.objective.sign * predicted.mean, predicted.std
        return F, std

    def check(self) -> None:
        """Refuses evaluations that no front can be had of.

        Raises:
            EvaluationError: if there is too little to learn from.
            InfeasibleError: if no network meets the constraints.
        """
        known = self.succeeded
        if not self._teaches(known):
            n_values = [len(np.unique(self.F[known, i])) for i in self.unknown]
            if known.sum() >= FEWEST:
                i = min(self.unknown, key=lambda i: float(np.ptp(self.F[known, i])))
                raise EvaluationError(same_for_all(int(known.sum()), abs(self.F[known, i][0])))
            raise EvaluationError(
                f"At least {FEWEST} networks with more than one value must be evaluated, but of "
                f"{len(self.X)} evaluations {known.sum()} succeeded, with {min(n_values)} "
                "different values."
            )
        if not self.feasible.any():
            raise nearest_miss(self.problem, self.X[known], self.G[known])

    def front(self, ref_point: FloatArray, n_free: int) -> ParetoFront:
        """The front of what was evaluated, by its true values.

        Args:
            ref_point: for the history of its hypervolume, (m,).
            n_free: rows at the beginning that are no evaluations of this search.
        """
        kept = np.flatnonzero(self.feasible)
        kept = kept[moocore.is_nondominated(self.F[kept])]
        kept = kept[np.lexsort(self.F[kept].T)]
        std = np.zeros((len(kept), self.F.shape[1]))
        for i, objective in enumerate(self.problem.objectives):
            each = self.unknown.get(i)
            if each is None:
                std[:, i] = self.problem.prediction(objective, self.X[kept]).std
            else:
                std[:, i] = each.noise_std(objective.sign * self.F[kept, i])
        return ParetoFront(
            X=self.X[kept],
            F=self.F[kept],
            std=std,
            problem=self.problem,
            n_evaluations=len(self.X) - n_free,
            history=self._history(ref_point)[n_free:],
        )

    def _history(self, ref_point: FloatArray) -> tuple[float, ...]:
        """Hypervolume after each row."""
        best, volume = np.empty((0, self.F.shape[1])), 0.0
        history = []
        for f, counts in zip(self.F, self.feasible, strict=True):
            if counts and not (best <= f).all(axis=1).any():
                best = np.vstack([best, f])
                best = best[moocore.is_nondominated(best)]
                volume = float(moocore.hypervolume(best, ref=ref_point))
            history.append(volume)
        return tuple(history)


def same_for_all(n: int, value: float) -> str:
    """Sentence of an error: evaluations that do not differ teach nothing."""
    return (
        f"Networks must differ to tell what others are like, but all {n} that were evaluated have "
        f"{value:g}. Take more validation images, train for longer, or look at the evaluator."
    )
