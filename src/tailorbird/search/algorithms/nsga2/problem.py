"""Problems of a search as pymoo takes them."""

from typing import Any

import numpy as np
from pymoo.core.problem import Problem as PymooProblem

from tailorbird.search.archive import Archive
from tailorbird.search.problem import Problem
from tailorbird.spaces import IntArray


class SpaceProblem(PymooProblem):  # type: ignore[misc]  # pymoo is untyped
    """Evaluates canonical rows of a problem for pymoo.

    Args:
        problem: to be solved.
        archive: takes in all that is evaluated.
    """

    def __init__(self, problem: Problem, archive: Archive) -> None:
        self.problem = problem
        self.archive = archive
        n_choices = np.array([len(variable.choices) for variable in problem.space.variables])
        super().__init__(
            n_var=len(n_choices),
            n_obj=len(problem.objectives),
            n_ieq_constr=len(problem.constraints),
            xl=0,
            xu=n_choices - 1,
            vtype=int,
        )

    def _evaluate(self, X: IntArray, out: dict[str, Any], *_: Any, **__: Any) -> None:
        F = self.problem.minimised(X)
        G = self.problem.violation(X, F)
        out["F"], out["G"] = F, G
        self.archive.add(X, F, G)
