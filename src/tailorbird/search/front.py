"""Non-dominated architectures and what is predicted for them."""

from dataclasses import dataclass, replace

import moocore
import numpy as np
import pandas as pd

from tailorbird.errors import InfeasibleError, apart
from tailorbird.search.objective import Objective
from tailorbird.search.problem import Problem
from tailorbird.spaces import FloatArray, IntArray, SearchSpace, encodings

_MANY_TIMES = 10.0  # beyond that, per cents are hard to read


@dataclass(frozen=True, slots=True, eq=False)
class ParetoFront:
    """Non-dominated architectures, ordered by their objectives.

    Attributes:
        X: encodings, (n, d).
        F: minimised objectives, (n, m).
        std: standard deviations of F, (n, m).
        objectives: what the columns are.
        n_evaluations: how many predictions it rests on.
        seed: of the search; None where chance had no part.
        history: hypervolume after each generation of NSGA-II, or each evaluation of what has none;
            empty where there were none.
        exact: whether every architecture of the space was considered.
        gap: of a front that is nearly exact, by objective, (m,) as a tuple: for each architecture
            that meets the constraints there is a member that is worse by no more than this in any
            objective; empty where that is not known, or nothing is left to know.
        probability: that each is on the front, given how sure predictions are, (n,); None if not
            asked for.
    """

    X: IntArray
    F: FloatArray
    std: FloatArray
    objectives: tuple[Objective, ...]
    n_evaluations: int
    seed: int | None = None
    history: tuple[float, ...] = ()
    exact: bool = False
    gap: tuple[float, ...] = ()
    probability: FloatArray | None = None

    @classmethod
    def of(
        cls, X: IntArray, problem: Problem, *, n_evaluations: int | None = None
    ) -> "ParetoFront":
        """The front of n canonical rows (n, d).

        Args:
            X: encodings; duplicates are allowed.
            problem: that they solve.
            n_evaluations: behind the choice of the rows; None if they are all.

        Raises:
            InfeasibleError: if no row meets the constraints.
        """
        X = np.unique(X, axis=0)
        F, std = problem.predict(X)
        G = problem.violation(X, F)
        keep = np.flatnonzero((G <= 0).all(axis=1))
        if not len(keep):
            raise nearest_miss(problem, X, G)
        # Of architectures with equal objectives one stays.
        keep = keep[moocore.is_nondominated(F[keep])]
        keep = keep[np.lexsort(F[keep].T)]
        return cls(X[keep], F[keep], std[keep], problem.objectives, n_evaluations or len(X))

    def __len__(self) -> int:
        return len(self.X)

    @property
    def values(self) -> FloatArray:
        """Objectives in their natural sense, (n, m)."""
        return self.F * [objective.sign for objective in self.objectives]

    def hypervolume(self, ref_point: FloatArray) -> float:
        """Volume between the front and a point of minimised values, (m,)."""
        return float(moocore.hypervolume(self.F, ref=ref_point))

    def thinned(self, n: int, ref_point: FloatArray) -> "ParetoFront":
        """Front of at most n members: one by one, the member that adds least hypervolume goes."""
        keep = np.arange(len(self))
        while len(keep) > n:
            contributions = moocore.hv_contributions(self.F[keep], ref=ref_point)
            keep = np.delete(keep, np.argmin(contributions))
        probability = None if self.probability is None else self.probability[keep]
        return replace(
            self, X=self.X[keep], F=self.F[keep], std=self.std[keep], probability=probability
        )

    def to_pandas(self, space: SearchSpace) -> pd.DataFrame:
        """A row per architecture: text, kind, objectives with their std, encoding.

        And which values are extrapolated, where predictors tell, and the probability of being on
        the front, if that is known.
        """
        columns: dict[str, object] = {
            "architecture": [space.describe(row) for row in self.X],
            "kind": [space.kind(row) for row in self.X],
        }
        for i, objective in enumerate(self.objectives):
            columns[objective.column] = self.values[:, i]
            columns[f"{objective.column}_std"] = self.std[:, i]
            extrapolated = objective.predictor.predict(self.X).extrapolated
            if extrapolated is not None:
                columns[f"{objective.column}_extrapolated"] = extrapolated
        if self.probability is not None:
            columns["probability_on_front"] = self.probability
        return pd.DataFrame({**columns, **encodings.columns(self.X, space, columns)})


def nearest_miss(problem: Problem, X: IntArray, G: FloatArray) -> InfeasibleError:
    """Error that says that no row (n, d) meets the constraints, and how near the nearest comes.

    Args:
        problem: with constraints.
        X: canonical rows, (n, d).
        G: fraction of itself by which each constraint is exceeded, (n, k).
    """
    nearest = np.maximum(G, 0.0).sum(axis=1).argmin()
    missed = []
    for c, g in zip(problem.constraints, G[nearest], strict=True):
        if g > 0:
            value = c.limit + c.objective.sign * g * c.unit
            beyond = f"{g:.1%} beyond" if g < _MANY_TIMES else f"{g:,.0f} times the limit beyond"
            missed.append(f"{c.objective.column} = {apart(value, c.limit)} ({beyond})")
    name, tightest = problem.space.describe(X[nearest]), problem.constraints[G[nearest].argmax()]
    return InfeasibleError(
        f"{' and '.join(map(str, problem.constraints))} must hold, but no network was found that "
        f"meets that. The nearest, {name}, has {' and '.join(missed)}. The tightest limit is "
        f"{tightest}; relax it."
    )
