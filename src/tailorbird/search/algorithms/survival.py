"""Environmental selection and mating of NSGA-II, on arrays.

Deb, Pratap, Agarwal, Meyarivan: A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II.
IEEE TEC 6(2), 2002.
"""

import moocore
import numpy as np

from tailorbird.spaces import FloatArray, IntArray

OUTSIDE = np.iinfo(np.int64).max
"""Rank of what exceeds a limit."""


def crowding_distances(F: FloatArray, rank: IntArray) -> FloatArray:
    """How far the neighbours of each row within its front lie apart, (n,); inf at the ends.

    Args:
        F: minimised objectives, (n, m).
        rank: front of each row, (n,); no number up to the largest is left out.
    """
    n, m = F.shape
    size = np.bincount(rank)
    behind = np.cumsum(size)
    before = behind - size
    distances = np.zeros(n)
    for column in F.T:  # all fronts at once, one behind the other
        order = np.lexsort((column, rank))
        ordered = column[order]
        gaps = np.empty(n + 1)
        gaps[1:-1] = ordered[1:] - ordered[:-1]
        gaps[before] = gaps[n] = np.inf
        spread = (ordered[behind - 1] - ordered[before]).repeat(size)
        is_flat = spread == 0.0  # then this objective tells nothing
        spread[is_flat] = np.inf
        apart = gaps[:-1] + gaps[1:]
        apart[is_flat] = 0.0
        distances[order] += apart / spread
    distances[(size <= 2)[rank]] = np.inf
    return np.asarray(distances / m)


def survivors(
    F: FloatArray, excess: FloatArray, n: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray, FloatArray]:
    """The rows that stay: feasible ones by front and crowding, then the others by excess.

    Args:
        F: minimised objectives, (N, m).
        excess: over the limits, 0 where they are met, (N,).
        n: rows to keep.
        rng: breaks ties.

    Returns:
        Which stay, best first, their ranks and their crowding distances, each (min(n, N),).
    """
    feasible = np.flatnonzero(excess == 0.0)
    if not len(feasible):
        kept = np.argsort(excess, kind="stable")[:n]
        return kept, np.full(len(kept), OUTSIDE), np.zeros(len(kept))
    rank = moocore.pareto_rank(F[feasible]).astype(np.int64)
    cut = np.searchsorted(np.cumsum(np.bincount(rank)), n)  # the front that is not kept whole
    order = rng.permutation(np.flatnonzero(rank <= cut))
    rank = rank[order]
    crowding = crowding_distances(F[feasible[order]], rank)
    best = np.lexsort((-crowding, rank))[:n]
    kept, rank, crowding = feasible[order[best]], rank[best], crowding[best]
    if len(kept) < min(n, len(F)):
        others = np.flatnonzero(excess > 0.0)
        others = others[np.argsort(excess[others], kind="stable")][: n - len(kept)]
        kept = np.append(kept, others)
        rank = np.append(rank, np.full(len(others), OUTSIDE))
        crowding = np.append(crowding, np.zeros(len(others)))
    return kept, rank, crowding


def tournament(
    F: FloatArray, excess: FloatArray, crowding: FloatArray, n: int, rng: np.random.Generator
) -> IntArray:
    """Winners of n duels, (n,): by excess, then dominance, then crowding, then chance.

    All rows fight equally often, up to once.

    Args:
        F: minimised objectives, (N, m).
        excess: over the limits, 0 where they are met, (N,).
        crowding: distances, (N,).
        n: duels.
        rng: pairs them.
    """
    turns = -(-2 * n // len(F))
    drawn = np.concatenate([rng.permutation(len(F)) for _ in range(turns)])
    a, b = drawn[: 2 * n : 2], drawn[1 : 2 * n : 2]
    F_a, F_b = F[a], F[b]
    dominance = (F_a < F_b).any(axis=1).astype(np.int64) - (F_b < F_a).any(axis=1)
    verdict = 1 - 2 * rng.integers(2, size=n)  # positive where a wins
    for comparison in (
        _more(crowding[a], crowding[b]),
        dominance,
        _more(excess[b], excess[a]),
    ):
        verdict = np.where(comparison != 0, comparison, verdict)
    return np.where(verdict > 0, a, b)


def distinct(X: IntArray, known: IntArray) -> IntArray:
    """Indices, ascending, of rows of X (n, d) that are neither known (k, d) nor came before."""
    rows = np.vstack([known, X]).astype(np.uint16)  # 65,536 choices are enough
    whole = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first = np.unique(whole, return_index=True)
    return np.sort(first[first >= len(known)]) - len(known)


def _more(a: FloatArray, b: FloatArray) -> IntArray:
    """1 where a is more, -1 where it is less; infinities may be compared."""
    return (a > b).astype(np.int64) - (a < b)
