"""Runs of NSGA-II, from the initial population to the front."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from pymoo.termination.max_gen import MaximumGenerationTermination

from tailorbird.search.algorithms.initial_population import feasible_start
from tailorbird.search.algorithms.nsga2.algorithm import RowNSGA2
from tailorbird.search.algorithms.nsga2.problem import SpaceProblem
from tailorbird.search.algorithms.variation import Variation
from tailorbird.search.archive import Archive
from tailorbird.search.front import ParetoFront
from tailorbird.search.problem import Problem
from tailorbird.search.settings import SearchSettings
from tailorbird.spaces import FloatArray, IntArray


def nsga2(
    problem: Problem,
    *,
    population: int = 100,
    generations: int = 100,
    seed: int = 0,
    ref_point: FloatArray | None = None,
    start: IntArray | None = None,
) -> ParetoFront:
    """The front of everything that NSGA-II evaluated.

    Offspring are repaired to canonical rows before duplicates are dropped, so that no
    architecture is in a population twice.

    Args:
        problem: of one or more objectives.
        population: architectures in a generation.
        generations: how many, the first included; fewer if no more new networks can be bred.
        seed: the same seed gives the same front.
        ref_point: for the hypervolume of each generation, (m,); None to leave that out.
        start: canonical rows of the initial population; if None, reference architectures and
            random ones, all within the constraints where that is possible.

    Raises:
        InfeasibleError: if nothing that it evaluated meets the constraints.

    References:
        Deb, Pratap, Agarwal, Meyarivan: A Fast and Elitist Multiobjective Genetic Algorithm:
        NSGA-II. IEEE TEC 6(2), 2002.
    """
    rng = np.random.default_rng(seed)
    archive, history = Archive(problem), list[float]()

    def observe() -> None:
        if ref_point is not None:
            history.append(archive.hypervolume(ref_point))

    evolve(
        problem,
        start=feasible_start(problem, population, rng) if start is None else start,
        population=population,
        generations=generations,
        seed=int(rng.integers(2**32)),
        archive=archive,
        observe=observe,
    )
    return replace(archive.front(), seed=seed, history=tuple(history))


def evolve(
    problem: Problem,
    *,
    start: IntArray,
    generations: int,
    seed: int,
    archive: Archive,
    population: int | None = None,
    observe: Callable[[], None] | None = None,
) -> IntArray:
    """The last population of NSGA-II, canonical rows (n, d).

    Args:
        problem: of one or more objectives.
        start: canonical rows of the initial population; of equal ones, one is taken.
        generations: how many, the first included; fewer if no more new networks can be bred.
        seed: of all but the start.
        archive: takes in all that is evaluated.
        population: architectures in a generation; as many as in `start` if None.
        observe: called after each generation.
    """
    population = len(start) if population is None else population
    algorithm = RowNSGA2(start, population, Variation(problem))
    algorithm.setup(
        SpaceProblem(problem, archive),
        termination=MaximumGenerationTermination(generations),
        seed=seed,
    )
    while algorithm.has_next():
        algorithm.next()
        if observe is not None:
            observe()
    return np.asarray(algorithm.pop.get("X"))


def search(problem: Problem, settings: SearchSettings) -> ParetoFront:
    """NSGA-II with the settings of a recipe."""
    return nsga2(
        problem,
        population=settings.population,
        generations=settings.generations,
        seed=settings.seed,
        ref_point=settings.ref_point,
    )
