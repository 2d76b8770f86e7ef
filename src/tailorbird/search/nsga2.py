"""NSGA-II, by pymoo; the only module that knows pymoo."""

from dataclasses import replace
from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.repair import Repair
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.termination.max_gen import MaximumGenerationTermination

from tailorbird.predictors import FloatArray
from tailorbird.search.archive import Archive
from tailorbird.search.front import ParetoFront
from tailorbird.search.problem import Problem
from tailorbird.spaces import IntArray


def nsga2(
    problem: Problem,
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
        problem: of at least two objectives.
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
    drawn = np.vstack([problem.space.landmarks, problem.space.sample(population, rng)])
    _, order = np.unique(drawn, axis=0, return_index=True)
    first = drawn[np.sort(order)][:population]
    asked = _Asked(problem)
    algorithm = NSGA2(
        pop_size=population,
        sampling=first,
        crossover=UniformCrossover(),
        mutation=_OneGene(),
        repair=_Canonical(),
    )
    algorithm.setup(
        asked, termination=MaximumGenerationTermination(generations), seed=seed, verbose=False
    )
    history = []
    while algorithm.has_next():
        algorithm.next()
        history.append(asked.archive.hypervolume(ref_point))
    return replace(asked.archive.front(), seed=seed, history=tuple(history))


class _Asked(PymooProblem):  # type: ignore[misc]  # pymoo is untyped
    """Predicted objectives, and an archive of the best that was seen."""

    def __init__(self, problem: Problem) -> None:
        self.space = problem.space
        self.problem = problem
        self.archive = Archive(problem)
        self.n_choices = np.array([len(variable.choices) for variable in self.space.variables])
        super().__init__(
            n_var=len(self.n_choices),
            n_obj=len(problem.objectives),
            n_ieq_constr=len(problem.constraints),
            xl=0,
            xu=self.n_choices - 1,
            vtype=int,
        )

    def _evaluate(self, X: IntArray, out: dict[str, Any], *_: Any, **__: Any) -> None:
        F = self.problem.minimised(X)
        G = self.problem.violation(X, F)
        out["F"], out["G"] = F, G
        self.archive.add(X, F, G)


class _Canonical(Repair):  # type: ignore[misc]  # pymoo is untyped
    def _do(self, problem: _Asked, X: IntArray, **_: Any) -> IntArray:
        return problem.space.repair(X)


class _OneGene(Mutation):  # type: ignore[misc]  # pymoo is untyped
    """Gives one variable of each row a new choice."""

    def _do(
        self, problem: _Asked, X: IntArray, random_state: np.random.Generator, **_: Any
    ) -> IntArray:
        rows = np.arange(len(X))
        gene = random_state.integers(X.shape[1], size=len(X))
        mutated = X.copy()
        mutated[rows, gene] = random_state.integers(problem.n_choices[gene])
        return mutated
