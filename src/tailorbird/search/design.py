"""Which networks to evaluate truly, before anything is known of their accuracy."""

import numpy as np

from tailorbird.predictors import Predictor
from tailorbird.spaces import IntArray, SearchSpace

_BINS = 20
_CANDIDATES = 20  # drawn for each network that is chosen


def spread_over(
    predictor: Predictor, space: SearchSpace, n: int, rng: np.random.Generator
) -> IntArray:
    """Landmarks and random networks whose predicted costs cover their range evenly.

    A front needs all of the range, but networks drawn uniformly crowd where most of them are:
    of those in digits-resnet nearly all hold blocks of the widest anchor.

    Args:
        predictor: of a positive cost, such as latency.
        space: to draw from.
        n: rows wanted; fewer are returned if so many different ones were not drawn.
        rng: of the draw.

    Returns:
        Distinct canonical rows, at most max(n, number of landmarks), in lexical order.
    """
    landmarks = np.unique(space.landmarks, axis=0)
    n = min(n, space.size)
    drawn = np.unique(np.vstack([landmarks, space.sample(_CANDIDATES * n, rng)]), axis=0)
    drawn = rng.permutation(drawn)
    cost = np.log(predictor.mean(drawn))
    edges = np.linspace(cost.min(), cost.max(), _BINS + 1)[1:-1]
    bins = np.digitize(cost, edges)
    # The k-th network of each bin comes before the (k + 1)-th of any; landmarks before all.
    turn = np.array([np.sum(bins[:i] == bins[i]) for i in range(len(drawn))])
    turn[(drawn[:, None] == landmarks).all(axis=2).any(axis=1)] = -1
    order = np.argsort(turn, kind="stable")
    return np.unique(drawn[order[: max(n, len(landmarks))]], axis=0)
