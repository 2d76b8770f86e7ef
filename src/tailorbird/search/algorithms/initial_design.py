"""Initial designs: networks to evaluate truly, before any accuracy is known."""

import numpy as np
from numpy.typing import NDArray

from tailorbird.predictors import Predictor
from tailorbird.search.algorithms.initial_population import feasible_start
from tailorbird.search.front import nearest_miss
from tailorbird.search.problem import Problem
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

_START = 10
_BINS = 20
_CANDIDATES = 20  # drawn for each network that is chosen


def initial_size(n_evaluations: int, batch: int) -> int:
    """Number of networks to evaluate before predictors guide a search of so many evaluations."""
    return min(max(_START, 2 * batch), n_evaluations // 2)


def spread_over(
    predictor: Predictor, space: SearchSpace, n: int, rng: np.random.Generator
) -> IntArray:
    """Reference architectures and random networks whose predicted costs cover their range evenly.

    A front needs all of the range, but networks drawn uniformly crowd where most of them are:
    of those in digits-resnet nearly all hold blocks of the widest anchor.

    Args:
        predictor: of a positive cost, such as latency.
        space: to draw from.
        n: rows wanted; fewer are returned if so many different ones were not drawn.
        rng: of the draw.

    Returns:
        Distinct canonical rows in lexical order: at most n, or all reference architectures if
        these are more.
    """
    landmarks = np.unique(space.landmarks, axis=0)
    n = min(n, space.size)
    drawn = np.unique(np.vstack([landmarks, space.sample(_CANDIDATES * n, rng)]), axis=0)
    drawn = rng.permutation(drawn)
    is_landmark = (drawn[:, None] == landmarks).all(axis=2).any(axis=1)
    chosen = _evenly(predictor.mean(drawn), is_landmark, max(n, len(landmarks)))
    return np.unique(drawn[chosen], axis=0)


def spread_within(
    problem: Problem, predictor: Predictor, n: int, rng: np.random.Generator
) -> IntArray:
    """Rows (n, d), at most n, that cover the range of latency within a problem's constraints.

    Raises:
        InfeasibleError: if none was found.
    """
    drawn = rng.permutation(feasible_start(problem, _CANDIDATES * n, rng))
    G = problem.violation(drawn, problem.minimised(drawn)) if problem.constraints else None
    if G is not None and (G > 0).any(axis=1).all():
        raise nearest_miss(problem, drawn, G)
    is_landmark = (drawn[:, None] == problem.space.landmarks).all(axis=2).any(axis=1)
    return np.unique(drawn[_evenly(predictor.mean(drawn), is_landmark, n)], axis=0)


def _evenly(cost: FloatArray, first: NDArray[np.bool_], n: int) -> IntArray:
    """Indices of n rows: those that come first, then in turn from each of equal ranges of cost."""
    logs = np.log(cost)
    edges = np.linspace(logs.min(), logs.max(), _BINS + 1)[1:-1]
    bins = np.digitize(logs, edges)
    # The k-th network of each bin comes before the (k + 1)-th of any.
    turn = np.empty(len(bins), dtype=np.int64)
    for one in np.unique(bins):
        of_bin = np.flatnonzero(bins == one)
        turn[of_bin] = np.arange(len(of_bin))
    turn[first] = -1
    return np.argsort(turn, kind="stable")[:n]
