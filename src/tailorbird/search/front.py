"""Non-dominated architectures and what is known of them."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import moocore
import numpy as np
import pandas as pd

from tailorbird.errors import InfeasibleError
from tailorbird.predictors.prediction import FloatArray
from tailorbird.search.objective import Objective, evaluate, violation
from tailorbird.spaces import IntArray, SearchSpace


@dataclass(frozen=True, slots=True, eq=False)
class ParetoFront:
    """Non-dominated architectures, ordered by their first objective.

    Attributes:
        X: encodings, (n, d).
        F: minimised objectives, (n, m).
        std: standard deviations of F, (n, m).
        objectives: what the columns are.
        seed: of the search; None where chance had no part.
        n_evaluations: architectures whose objectives were predicted.
        history: hypervolume after each generation; empty for an exact front.
        exact: whether every architecture of the space was considered.
    """

    X: IntArray
    F: FloatArray
    std: FloatArray
    objectives: tuple[Objective, ...]
    seed: int | None
    n_evaluations: int
    history: tuple[float, ...] = ()
    exact: bool = False

    @classmethod
    def of(
        cls,
        X: IntArray,
        objectives: tuple[Objective, ...],
        *,
        seed: int | None = None,
        n_evaluations: int = 0,
        history: tuple[float, ...] = (),
        exact: bool = False,
    ) -> "ParetoFront":
        """The front of canonical rows (n, d), each architecture once.

        Raises:
            InfeasibleError: if no row meets the limits.
        """
        X = np.unique(X, axis=0)
        F, std = evaluate(objectives, X)
        feasible = (violation(objectives, F) <= 0).all(axis=1)
        if not feasible.any():
            limits = ", ".join(
                f"{o.name} {'<=' if o.sense == 'min' else '>='} {o.limit:g} {o.unit}".strip()
                for o in objectives
                if o.limit is not None
            )
            nearest = ", ".join(
                f"{o.sign * F[:, i].min():.4g}"
                for i, o in enumerate(objectives)
                if o.limit is not None
            )
            raise InfeasibleError(
                f"No architecture meets {limits}; the best is {nearest}. Relax the limit."
            )
        X, F, std = X[feasible], F[feasible], std[feasible]
        # Of architectures with equal objectives one stays.
        keep = np.flatnonzero(moocore.is_nondominated(F, keep_weakly=False))
        keep = keep[np.lexsort(F[keep].T[::-1])]
        return cls(
            X[keep], F[keep], std[keep], objectives, seed, n_evaluations, history, exact
        )

    def __len__(self) -> int:
        return len(self.X)

    @property
    def values(self) -> FloatArray:
        """Objectives in their natural sense, (n, m)."""
        return self.F * [o.sign for o in self.objectives]

    def hypervolume(self, ref_point: FloatArray) -> float:
        """Volume between the front and a reference point of minimised values, (m,)."""
        return hypervolume(self.F, ref_point)

    def thinned(self, n: int, ref_point: FloatArray) -> "ParetoFront":
        """At most n members; again and again the one that adds least hypervolume goes."""
        keep = np.arange(len(self))
        while len(keep) > n:
            contribution = moocore.hv_contributions(self.F[keep], ref=ref_point)
            keep = np.delete(keep, np.argmin(contribution))
        return replace(self, X=self.X[keep], F=self.F[keep], std=self.std[keep])

    def best(self, name: str, **limits: float) -> int: ...
