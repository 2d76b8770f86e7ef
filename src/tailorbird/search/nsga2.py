"""NSGA-II, by pymoo; the only module that knows pymoo."""

from dataclasses import replace
from typing import Any

import moocore
import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.termination.max_gen import MaximumGenerationTermination

from tailorbird.predictors import FloatArray
from tailorbird.search.front import ParetoFront
from tailorbird.search.objective import Objective, minimised, violation
from tailorbird.spaces import IntArray, SearchSpace


def nsga2(
    space: SearchSpace,
    objectives: tuple[Objective, ...],
    *,
    population: int,
    generations: int,
    seed: int,
    ref_point: FloatArray,
) -> ParetoFront:
    """The front of everything that NSGA-II looked at.

    Offspring are repaired to canonical rows before duplicates are dropped, so that no
    architecture is in a population twice. Landmarks of the space are in the first one.

    Args:
        space: searched.
        objectives: at least two.
        population: architectures in a generation.
        generations: how many, the first included.
        seed: the same seed gives the same front.
        ref_point: for the hypervolume of each generation, (m,).

    Raises:
        InfeasibleError: if it saw nothing that meets the limits.

    References:
        Deb, Pratap, Agarwal, Meyarivan: A Fast and Elitist Multiobjective Genetic Algorithm:
        NSGA-II. IEEE TEC 6(2), 2002.
    """
    rng = np.random.default_rng(seed)
    drawn = np.vstack([space.landmarks, space.sample(population, rng)])
    _, order = np.unique(drawn, axis=0, return_index=True)
    first = drawn[np.sort(order)][:population]
    problem = _Problem(space, objectives)
    algorithm = NSGA2(
        pop_size=population,
        sampling=first,
        crossover=UniformCrossover(),
        mutation=_OneGene(),
        repair=_Canonical(),
    )
    algorithm.setup(
        problem, termination=MaximumGenerationTermination(generations), seed=seed, verbose=False
    )
    history = []
    while algorithm.has_next():
        algorithm.next()
        history.append(problem.hypervolume(ref_point))
    return replace(
        ParetoFront.of(problem.best_X, objectives),
        n_evaluations=problem.n_evaluations,
        seed=seed,
        history=tuple(history),
    )


class _Problem(Problem):  # type: ignore[misc]  # pymoo is untyped
    """Predicted objectives, and an archive of the best that was seen.

    What dominates a network that meets the limits meets them too, so the archive ignores limits.
    """

    def __init__(self, space: SearchSpace, objectives: tuple[Objective, ...]) -> None:
        self.space = space
        self.objectives = objectives
        self.n_choices = np.array([len(variable.choices) for variable in space.variables])
        self.best_X: IntArray = np.empty((0, len(self.n_choices)), dtype=np.int64)
        self.best_F: FloatArray = np.empty((0, len(objectives)))
        self.n_evaluations = 0
        super().__init__(
            n_var=len(self.n_choices),
            n_obj=len(objectives),
            n_ieq_constr=sum(objective.limit is not None for objective in objectives),
            xl=0,
            xu=self.n_choices - 1,
            vtype=int,
        )

    def hypervolume(self, ref_point: FloatArray) -> float:
        """Of what was seen so far and meets the limits."""
        feasible = (violation(self.objectives, self.best_F) <= 0).all(axis=1)
        return float(moocore.hypervolume(self.best_F[feasible], ref=ref_point))

    def _evaluate(self, X: IntArray, out: dict[str, Any], *_: Any, **__: Any) -> None:
        F = minimised(self.objectives, X)
        out["F"], out["G"] = F, violation(self.objectives, F)
        self.n_evaluations += len(X)
        X, F = np.vstack([self.best_X, X]), np.vstack([self.best_F, F])
        keep = moocore.is_nondominated(F)
        self.best_X, self.best_F = X[keep], F[keep]


class _Canonical(Repair):  # type: ignore[misc]  # pymoo is untyped
    def _do(self, problem: _Problem, X: IntArray, **_: Any) -> IntArray:
        return problem.space.repair(X)


class _OneGene(Mutation):  # type: ignore[misc]  # pymoo is untyped
    """Gives one variable of each row a new choice."""

    def _do(
        self, problem: _Problem, X: IntArray, random_state: np.random.Generator, **_: Any
    ) -> IntArray:
        rows = np.arange(len(X))
        gene = random_state.integers(X.shape[1], size=len(X))
        mutated = X.copy()
        mutated[rows, gene] = random_state.integers(problem.n_choices[gene])
        return mutated
