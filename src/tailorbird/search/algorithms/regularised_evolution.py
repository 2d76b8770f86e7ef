"""Regularised evolution: the oldest individual is removed, whatever its fitness."""

from collections import deque

import moocore
import numpy as np

from tailorbird.search.algorithms.survival import crowding_distances
from tailorbird.search.budget import Budget
from tailorbird.search.front import ParetoFront
from tailorbird.search.problem import Problem
from tailorbird.search.settings import SearchSettings
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

_MUTANTS = 8  # that are repaired together, since most of the first are new
_CHANGES = 100  # of a row without meeting a new one, before one is drawn
_TOURNAMENT = 0.25  # of the population


def regularised_evolution(
    problem: Problem,
    *,
    n_evaluations: int,
    population: int = 100,
    sample: int | None = None,
    seed: int = 0,
    ref_point: FloatArray | None = None,
    start: IntArray | None = None,
) -> ParetoFront:
    """The front of everything that ageing evolution looked at.

    The best of a few that are drawn from the population is mutated: one variable gets another
    choice. The child joins, and the oldest individual leaves. Of several objectives, the best is
    feasible or nearest to it, then of the first front in the population, then the least crowded
    there. A child that was evaluated before is changed further until it is new.

    Args:
        problem: of any number of objectives.
        n_evaluations: distinct architectures to look at; all of them if there are fewer.
        population: architectures that live at once; the first are drawn uniformly.
        sample: how many are drawn, with replacement, to choose a parent from; None for a quarter
            of the population, as in the paper.
        seed: the same seed gives the same front.
        ref_point: for the hypervolume after each evaluation, (m,); None to leave it out.
        start: canonical rows (k, d) to look at first; they count, and are the oldest.

    Raises:
        InfeasibleError: if it saw nothing that meets the constraints.
        ValueError: unless 1 <= sample and 1 <= population.

    References:
        Real, Aggarwal, Huang, Le: Regularized Evolution for Image Classifier Architecture Search.
        AAAI 2019.
    """
    sample = max(2, round(_TOURNAMENT * population)) if sample is None else sample
    for name, value in (("population", population), ("sample", sample)):
        if value < 1:
            raise ValueError(f"`{name} >= 1` must hold, but got {value}.")
    rng = np.random.default_rng(seed)
    budget = Budget(problem, n_evaluations, ref_point)
    living = deque[tuple[IntArray, FloatArray, float]](maxlen=population)

    def born(X: IntArray) -> None:
        F, G = budget.evaluate(X)
        living.extend(zip(X, F, np.maximum(G, 0.0).sum(axis=1), strict=True))

    if start is not None:
        born(budget.new(start))
    born(budget.draw(population - len(living), rng))
    while budget.left:
        X, F, excess = (np.array(column) for column in zip(*living, strict=True))
        drawn = rng.integers(len(X), size=sample)
        born(_child(X[_best(F, excess, drawn)], problem.space, budget, rng))
    return budget.front(seed)


def _best(F: FloatArray, excess: FloatArray, drawn: IntArray) -> int:
    """Number of the best drawn row of a population; the first of equals.

    Args:
        F: minimised objectives of the population, (n, m).
        excess: over the constraints, 0 where they are met, (n,).
        drawn: the rows that compete, (k,).
    """
    drawn = drawn[excess[drawn] == excess[drawn].min()]
    if excess[drawn[0]] > 0.0:
        return int(drawn[0])
    feasible = excess == 0.0
    rank = np.full(len(F), -1)
    rank[feasible] = moocore.pareto_rank(F[feasible])
    drawn = drawn[rank[drawn] == rank[drawn].min()]
    front = np.flatnonzero(rank == rank[drawn[0]])
    crowding = np.zeros(len(F))
    crowding[front] = crowding_distances(F[front], np.zeros(len(front), dtype=np.int64))
    return int(drawn[np.argmax(crowding[drawn])])


def _child(
    parent: IntArray, space: SearchSpace, budget: Budget, rng: np.random.Generator
) -> IntArray:
    """A new row (1, d), mutated from a parent (d,)."""
    n_choices = np.array([len(variable.choices) for variable in space.variables])
    free = np.flatnonzero(n_choices > 1)
    rows = np.arange(_MUTANTS)
    X = np.repeat(parent[None], _MUTANTS, axis=0)
    for _ in range(_CHANGES):
        variable = rng.choice(free, size=_MUTANTS)
        steps = rng.integers(1, n_choices[variable])  # away from the choice that it has
        X[rows, variable] = (X[rows, variable] + steps) % n_choices[variable]
        X = space.repair(X)
        new = budget.new(X)
        if len(new):
            return new[:1]
    return budget.draw(1, rng)


def search(problem: Problem, settings: SearchSettings) -> ParetoFront:
    """Regularised evolution with the settings of a recipe."""
    return regularised_evolution(
        problem,
        n_evaluations=settings.n_evaluations,
        population=settings.population,
        seed=settings.seed,
        ref_point=settings.ref_point,
    )
