"""Non-dominated architectures and what is predicted for them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import moocore
import numpy as np
import pandas as pd

from tailorbird.errors import InfeasibleError, apart, plain
from tailorbird.notebook import ROWS, axes, between, counted, html_table, label, legend
from tailorbird.search.objective import Objective
from tailorbird.search.problem import Problem
from tailorbird.spaces import FloatArray, IntArray, encodings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MANY_TIMES = 10.0  # beyond that, per cents are hard to read


@dataclass(frozen=True, slots=True, eq=False)
class ParetoFront:
    """Non-dominated architectures, ordered by their objectives.

    Attributes:
        X: encodings, (n, d).
        F: minimised objectives, (n, m).
        std: standard deviations of F, (n, m).
        problem: that they solve; its objectives are the columns.
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
    problem: Problem
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
        return cls(X[keep], F[keep], std[keep], problem, n_evaluations or len(X))

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        networks = counted(len(self), "network")
        evaluations = counted(self.n_evaluations, "evaluation")
        exact = ", exact" if self.exact else ""
        values = zip(self.objectives, self.values.T, strict=True)
        ranges = (f"{objective.column} {between(of)}" for objective, of in values)
        return plain(f"ParetoFront({networks}, {evaluations}{exact}, {', '.join(ranges)})")

    def _repr_html_(self) -> str:
        return html_table(
            self._only(np.arange(len(self))[:ROWS]).to_pandas(), repr(self), len(self)
        )

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What the columns of F are."""
        return self.problem.objectives

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
        return self._only(keep)

    def _only(self, keep: IntArray) -> "ParetoFront":
        """The front with these of its members, by index."""
        probability = None if self.probability is None else self.probability[keep]
        return replace(
            self, X=self.X[keep], F=self.F[keep], std=self.std[keep], probability=probability
        )

    def to_pandas(self) -> pd.DataFrame:
        """A row per architecture: text, kind, objectives with their std, encoding.

        And which values are extrapolated, where predictors tell, and the probability of being on
        the front, if that is known.
        """
        space = self.problem.space
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

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draws the first objective over the second, with bars of one standard deviation.

        Args:
            ax: axes to draw on; new ones if None.

        Raises:
            ValueError: unless there are two objectives.
        """
        if len(self.objectives) != 2:
            raise ValueError(
                f"A front is drawn by two objectives, but this one has {len(self.objectives)}. "
                "Draw columns of `to_pandas()`, such as by `pandas.plotting.scatter_matrix`."
            )
        ax = axes(ax)
        (y, x), (y_std, x_std) = self.values.T, self.std.T
        name = f"{'exact front' if self.exact else 'front'} of {counted(len(self), 'network')}"
        ax.errorbar(x, y, y_std, x_std, fmt=".", elinewidth=0.8, label=name)
        y_name, x_name = (label(objective.column) for objective in self.objectives)
        ax.set(xlabel=x_name, ylabel=y_name)
        legend(ax)
        return ax


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
