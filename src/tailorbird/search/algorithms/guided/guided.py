"""Guided search: true evaluations spent where predictors expect them to move the front."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import moocore
import numpy as np

from tailorbird.progress import NoProgress, Progress
from tailorbird.search.algorithms.guided.expected_improvement import ExpectedImprovement, choose
from tailorbird.search.algorithms.guided.history import Evaluated, Unknown
from tailorbird.search.algorithms.initial_design import initial_size
from tailorbird.search.algorithms.initial_population import feasible_start
from tailorbird.search.algorithms.nsga2 import evolve
from tailorbird.search.algorithms.variation import mutate
from tailorbird.search.archive import Archive
from tailorbird.search.front import ParetoFront
from tailorbird.search.problem import Problem, beyond
from tailorbird.spaces import FloatArray, IntArray

Box = tuple[FloatArray, FloatArray]
"""Reference and ideal point, (m,) each."""

_ENUMERATED = 10_000  # spaces up to this size are looked at whole
_POPULATION, _GENERATIONS = 100, 60  # of the inner search
_NEIGHBOURS = 300  # of the predicted front, looked at beside it
_LOOKED_AT = 1_000  # of a space that is looked at whole, with their stds
_TRIES = 100  # draws for each random network that is new
_USUAL = 1_000  # random networks that say how far objectives reach


def guided(
    problem: Problem,
    unknown: Sequence[Unknown],
    *,
    n_evaluations: int,
    batch: int = 5,
    seed: int = 0,
    ref_point: FloatArray | None = None,
    start: IntArray | None = None,
    earlier: IntArray | None = None,
    progress: Progress | None = None,
) -> tuple[ParetoFront, Evaluated]:
    """The front of networks that were truly evaluated, none of them twice.

    Batches of evaluations alternate with searches under the predictors: NSGA-II proposes, or the
    whole space where that is small, and those that are expected to add most hypervolume are
    evaluated. Objectives that are not unknown are predicted as ever, and never learned.

    Args:
        problem: of one or more objectives, of which some are unknown.
        unknown: those; their predictors are left fitted to everything.
        n_evaluations: rows that may be evaluated, the start and failures included.
        batch: rows that are evaluated together, before the predictors learn from them.
        seed: the same seed gives the same front.
        ref_point: that hypervolume refers to, and beyond which no network gains anything, (m,);
            None for a point just beyond the front that is known or predicted.
        start: canonical rows of the initial population, evaluated first, (n, d); if None,
            reference architectures and random ones, within the constraints where that is possible.
        earlier: rows whose values are remembered, which cost nothing, (n, d).
        progress: where it reports to; None for nowhere.

    Returns:
        The front, with the hypervolume after each evaluation as its history, and all that was
        evaluated.

    Raises:
        InfeasibleError: if no network that was evaluated meets the constraints.
        EvaluationError: if there was never enough to learn from: too few evaluations that did not
            fail, or all with one value.

    References:
        Cummings, Sarah, Sridhar, Szankin, Munoz, Sundaresan: A Hardware-Aware Framework for
        Accelerating Neural Architecture Search Across Modalities. arXiv 2205.10358, 2022 (LINAS).
    """
    rng = np.random.default_rng(seed)
    known = Evaluated(problem, unknown)
    if earlier is not None:
        known.add(known.fresh(earlier))
    n_free = len(known.X)
    usual = np.vstack([problem.space.landmarks, problem.space.sample(_USUAL, rng)])
    box = partial(_box, known, usual, ref_point)
    batches = _batches(known, start, box, n_evaluations, batch, rng)
    with (progress or NoProgress()).task("Searching", n_evaluations) as advance:
        for X in batches:
            known.add(X)
            for _ in X:
                advance(f"{int(known.feasible.sum())} networks within the limits")
    known.check()
    known.teach()
    return replace(known.front(box()[0], n_free), seed=seed), known


def _batches(
    known: Evaluated,
    start: IntArray | None,
    box: Callable[[], Box],
    n_evaluations: int,
    batch: int,
    rng: np.random.Generator,
) -> Iterator[IntArray]:
    """Rows to evaluate, the start first; each batch must be known before the next one is drawn."""
    if start is None:
        n_start = initial_size(n_evaluations, batch)
        start = feasible_start(known.without_unknown_limits, n_start, rng)
    n_wanted = len(known.X) + n_evaluations
    yield known.fresh(start)[:n_evaluations]
    while len(known.X) < n_wanted:
        n = min(batch, n_wanted - len(known.X))
        X = _promising(known, box, n, rng) if known.teach() else _random(known, n, rng)
        if not len(X):
            X = _random(known, n, rng)
        if not len(X):
            return  # all that there is, within the constraints, was evaluated
        yield X


def _box(known: Evaluated, usual: IntArray, ref_point: FloatArray | None) -> Box:
    """Reference and ideal point, (m,) each, between which networks gain hypervolume.

    Evaluations rarely hold the ends of the front, so predictions for the usual networks count too.
    Without a reference point the worst of that front says how far it reaches: all networks would
    draw the search to where no front is.
    """
    F = np.vstack([known.predict(usual)[0], known.F[known.succeeded]])
    best = F.min(axis=0)
    front = F[moocore.is_nondominated(F)]
    worst = np.maximum(beyond(front) if ref_point is None else ref_point, best)
    for constraint in known.problem.constraints:
        if constraint.objective in known.problem.objectives:
            i = known.problem.objectives.index(constraint.objective)
            worst[i] = min(worst[i], constraint.objective.sign * constraint.limit)
    return worst, best


def _promising(
    known: Evaluated, box: Callable[[], Box], n: int, rng: np.random.Generator
) -> IntArray:
    """Chooses at most n rows that are expected to add most hypervolume."""
    problem = known.problem
    if problem.space.size <= _ENUMERATED:
        X = _foremost(problem, known.fresh(np.vstack(list(problem.space.enumerate()))))
    else:
        X = known.fresh(_evolved(known, rng))
    if not len(X):
        return X
    F, std = known.predict(X)
    chance = problem.chance(X, F, std)
    likely = np.flatnonzero(chance > 0.0)
    ref_point, ideal_point = box()
    improvement = ExpectedImprovement(
        known.F[known.feasible], ref_point, ideal_point, along=min(known.unknown)
    )
    return X[likely[choose(improvement, F[likely], std[likely], chance[likely], n)]]


def _foremost(problem: Problem, X: IntArray) -> IntArray:
    """Rows of the best predicted fronts, as many as are looked at closely."""
    if len(X) <= _LOOKED_AT:
        return X
    F = problem.minimised(X)
    excess = np.maximum(problem.violation(X, F), 0.0).sum(axis=1)
    order = np.lexsort((moocore.pareto_rank(F), excess))
    return X[order[:_LOOKED_AT]]


def _evolved(known: Evaluated, rng: np.random.Generator) -> IntArray:
    """Rows that evolved under the predictors, and some of their neighbours."""
    problem = known.problem
    best = known.X[known.feasible]
    best = best[moocore.is_nondominated(known.F[known.feasible])] if len(best) else best
    start = np.vstack([best[-_POPULATION // 2 :], feasible_start(problem, _POPULATION, rng)])
    archive = Archive(problem)
    population = evolve(
        problem,
        start=start,
        population=_POPULATION,
        generations=_GENERATIONS,
        seed=int(rng.integers(2**31)),
        archive=archive,
    )
    found = np.vstack([archive.X, population])
    near = mutate(problem.space, found[rng.integers(len(found), size=_NEIGHBOURS)], rng)
    return np.unique(np.vstack([found, near]), axis=0)


def _random(known: Evaluated, n: int, rng: np.random.Generator) -> IntArray:
    """Draws at most n new rows that meet the constraints on what is not unknown."""
    sure = known.without_unknown_limits
    X = known.fresh(rng.permutation(feasible_start(sure, _TRIES * n, rng)))
    return X[(sure.violation(X, known.priced(X)) <= 0).all(axis=1)][:n]
