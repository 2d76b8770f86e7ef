"""Probabilities that networks are on the front, given how sure predictions are."""

from dataclasses import dataclass, replace

import moocore
import numpy as np
from numpy.typing import NDArray

from tailorbird.predictors.metrics import Interval
from tailorbird.search.front import ParetoFront
from tailorbird.search.problem import Problem
from tailorbird.spaces import FloatArray, IntArray

_IN_FLIGHT = 500_000  # networks times draws at once, so that memory is bounded


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Monte Carlo draws of the true objectives of n networks, as predictors hold them possible.

    Attributes:
        F: minimised objectives in each draw, (n_draws, n, m).
        meets: whether all constraints hold, (n_draws, n).
    """

    F: FloatArray
    meets: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        problem: Problem,
        X: IntArray,
        *,
        n_draws: int,
        rng: np.random.Generator,
        correlation: float = 0.0,
    ) -> "Draws":
        """Draws all that a problem asks of canonical rows X (n, d), constraints included.

        Args:
            problem: whose predictors are drawn from.
            X: networks.
            n_draws: how many.
            rng: of the draws.
            correlation: of the errors of any two networks, see `draw`.
        """
        F, std = problem.predict(X)
        columns, spreads, worst = [*F.T], [*std.T], [np.inf] * F.shape[1]
        for constraint in problem.constraints:
            limited, limit = constraint.objective, constraint.objective.sign * constraint.limit
            if limited in problem.objectives:
                i = problem.objectives.index(limited)
                worst[i] = min(worst[i], limit)
            else:
                predicted = problem.prediction(limited, X)
                columns.append(limited.sign * predicted.mean)
                spreads.append(predicted.std)
                worst.append(limit)
        drawn = draw(
            np.column_stack(columns),
            np.column_stack(spreads),
            n_draws=n_draws,
            rng=rng,
            correlation=correlation,
        )
        return cls(drawn[:, :, : F.shape[1]], np.all(drawn <= worst, axis=2))

    def membership(self) -> FloatArray:
        """Fraction of the draws in which each network is on the front, (n,).

        It is there if it meets the constraints and none that does so dominates it. So probabilities
        are those among the n networks: leave none out that may well be better.
        """
        times = np.zeros(self.F.shape[1])
        for F, meets in zip(self.F, self.meets, strict=True):
            inside = np.flatnonzero(meets)
            if len(inside):
                times[inside] += moocore.is_nondominated(F[inside], keep_weakly=True)
        return times / len(self.F)

    def hypervolume(self, ref_point: FloatArray, level: float = 0.9) -> Interval:
        """Mean over the draws, and the central interval that holds this fraction of them.

        The mean is above the hypervolume of the predicted front if many networks compete for it:
        in each draw the luckiest of them make it up.
        """
        volumes = [
            float(moocore.hypervolume(F[meets], ref=ref_point)) if meets.any() else 0.0
            for F, meets in zip(self.F, self.meets, strict=True)
        ]
        low, high = np.quantile(volumes, [(1 - level) / 2, (1 + level) / 2])
        return Interval(float(np.mean(volumes)), float(low), float(high))


def draw(
    F: FloatArray,
    std: FloatArray,
    *,
    n_draws: int,
    rng: np.random.Generator,
    correlation: float = 0.0,
) -> FloatArray:
    """Draws what n networks may truly have, normally around predictions, (n_draws, n, m).

    Args:
        F: predicted means, (n, m).
        std: their standard deviations, (n, m); what has 0 is sure.
        n_draws: how many.
        rng: draws them.
        correlation: of the errors of any two networks in one objective, from 0 to 1. What they
            share, such as the images of a test, hardly alters who is on the front; between
            objectives errors are independent.

    Raises:
        ValueError: unless 0 <= correlation <= 1 and n_draws >= 1.
    """
    if not (0.0 <= correlation <= 1.0 and n_draws >= 1):
        raise ValueError(
            "`0 <= correlation <= 1` and `n_draws >= 1` must hold, but got "
            f"{correlation=}, {n_draws=}."
        )
    n, m = F.shape
    shared = rng.standard_normal((n_draws, 1, m))
    own = rng.standard_normal((n_draws, n, m))
    errors = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    return np.asarray(F + std * errors)


def membership(
    F: FloatArray,
    std: FloatArray,
    *,
    n_draws: int,
    rng: np.random.Generator,
    limits: FloatArray | None = None,
    correlation: float = 0.0,
) -> FloatArray:
    """Probability that each of n networks is on their front, (n,).

    Args:
        F: minimised objectives, (n, m).
        std: their standard deviations, (n, m).
        n_draws: for a standard error of at most 1 / (2 sqrt(n_draws)).
        rng: of the draws.
        limits: the worst that is allowed, (m,), inf where nothing is; None for none.
        correlation: of the errors of any two networks, see `draw`.
    """
    drawn = draw(F, std, n_draws=n_draws, rng=rng, correlation=correlation)
    worst = np.full(F.shape[1], np.inf) if limits is None else limits
    return Draws(drawn, np.all(drawn <= worst, axis=2)).membership()


def with_probability(
    front: ParetoFront,
    problem: Problem,
    *,
    n_draws: int,
    rng: np.random.Generator,
    rivals: IntArray | None = None,
    correlation: float = 0.0,
) -> ParetoFront:
    """A front that says how likely each member truly is on it.

    Args:
        front: of the problem.
        problem: whose predictors are drawn from.
        n_draws: see `membership`.
        rng: of the draws.
        rivals: canonical rows (k, d) beside the front that may truly be better than a member, such
            as those near it; without any, members are too sure of themselves.
        correlation: of the errors of any two networks, see `draw`.
    """
    X = front.X if rivals is None else np.vstack([front.X, rivals])
    _, first = np.unique(X, axis=0, return_index=True)
    X = X[np.sort(first)]  # a rival that is on the front is no rival of itself
    portion = max(1, min(n_draws, _IN_FLIGHT // len(X)))
    on_front = np.zeros(len(X))
    for done in range(0, n_draws, portion):
        n = min(portion, n_draws - done)
        draws = Draws.of(problem, X, n_draws=n, rng=rng, correlation=correlation)
        on_front += n * draws.membership()
    return replace(front, probability=on_front[: len(front)] / n_draws)
