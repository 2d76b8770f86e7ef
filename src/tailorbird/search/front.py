"""Non-dominated architectures and what is predicted for them."""

from dataclasses import dataclass, replace

import moocore
import numpy as np
import pandas as pd

from tailorbird.errors import InfeasibleError
from tailorbird.predictors import FloatArray
from tailorbird.search.objective import Objective
from tailorbird.search.problem import Problem
from tailorbird.spaces import IntArray, SearchSpace


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
        history: hypervolume after each generation; empty where there were none.
        exact: whether every architecture of the space was considered.
    """

    X: IntArray
    F: FloatArray
    std: FloatArray
    objectives: tuple[Objective, ...]
    n_evaluations: int
    seed: int | None = None
    history: tuple[float, ...] = ()
    exact: bool = False

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
            InfeasibleError: if no row meets the limits.
        """
        X = np.unique(X, axis=0)
        F, std = problem.predict(X)
        excess = np.maximum(problem.violation(X, F), 0.0).sum(axis=1)
        keep = np.flatnonzero(excess == 0.0)
        if not len(keep):
            raise nearest_miss(problem, X[excess.argmin()])
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
        """At most n members: again and again the one that adds least hypervolume goes."""
        keep = np.arange(len(self))
        while len(keep) > n:
            contributions = moocore.hv_contributions(self.F[keep], ref=ref_point)
            keep = np.delete(keep, np.argmin(contributions))
        return replace(self, X=self.X[keep], F=self.F[keep], std=self.std[keep])

    def to_pandas(self, space: SearchSpace) -> pd.DataFrame:
        """A row per architecture: text, kind, objectives with their std, encoding."""
        columns: dict[str, object] = {
            "architecture": [space.describe(row) for row in self.X],
            "kind": [space.kind(row) for row in self.X],
        }
        for i, objective in enumerate(self.objectives):
            columns[objective.column] = self.values[:, i]
            columns[f"{objective.column}_std"] = self.std[:, i]
        for i, variable in enumerate(space.variables):
            columns[variable.name] = self.X[:, i]
        return pd.DataFrame(columns)


def nearest_miss(problem: Problem, row: IntArray) -> InfeasibleError:
    """Says that no network meets the limits, and how near this one comes."""
    X = row[None]
    F = problem.minimised(X)
    G = problem.violation(X, F)[0]
    missed = [
        f"{c.objective.column} = {c.objective.predictor.mean(X)[0]:.4g} ({g:.1%} beyond)"
        for c, g in zip(problem.constraints, G, strict=True)
        if g > 0
    ]
    return InfeasibleError(
        f"{' and '.join(map(str, problem.constraints))} must hold, but no network was found that "
        f"meets that. The nearest, {problem.space.describe(row)}, has {' and '.join(missed)}. "
        f"The tightest limit is {problem.constraints[G.argmax()]}; relax it."
    )
