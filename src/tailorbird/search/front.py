"""Non-dominated architectures and what is predicted for them."""

from dataclasses import dataclass, replace

import moocore
import numpy as np
import pandas as pd

from tailorbird.errors import InfeasibleError
from tailorbird.predictors import FloatArray
from tailorbird.search.objective import Objective, evaluate, violation
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
    def of(cls, X: IntArray, objectives: tuple[Objective, ...]) -> "ParetoFront":
        """The front of n canonical rows (n, d).

        Raises:
            InfeasibleError: if no row meets the limits.
        """
        X = np.unique(X, axis=0)
        F, std = evaluate(objectives, X)
        feasible = (violation(objectives, F) <= 0).all(axis=1)
        if not feasible.any():
            raise InfeasibleError(_nearest_miss(objectives, F))
        # Of architectures with equal objectives one stays.
        keep = np.flatnonzero(feasible)
        keep = keep[moocore.is_nondominated(F[keep])]
        keep = keep[np.lexsort(F[keep].T)]
        return cls(X[keep], F[keep], std[keep], objectives, len(X))

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


def _nearest_miss(objectives: tuple[Objective, ...], F: FloatArray) -> str:
    limited = [(i, o) for i, o in enumerate(objectives) if o.limit is not None]
    laws = " and ".join(
        f"{o.column} {'<=' if o.sense == 'min' else '>='} {o.limit:g}" for _, o in limited
    )
    best = ", ".join(f"{o.column} = {o.sign * F[:, i].min():.4g}" for i, o in limited)
    return f"{laws} must hold, but the best that was found is {best}. Relax the limit."
