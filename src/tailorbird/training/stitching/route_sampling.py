"""Sampling of the route of each training step, which the seed and the step alone decide."""

from collections.abc import Callable

import numpy as np

from tailorbird.spaces import IntArray
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching import StitchSpace

Draw = Callable[[int], IntArray]
"""Gives the canonical row (d,) of a step."""

_LARGEST_GROUPED = 20_000
_GROUPS = 50


def uniform(space: StitchSpace, seed: int) -> Draw:
    """Draws every route with the same probability.

    References:
        Pan, Cai, Zhuang: Stitchable Neural Networks. CVPR 2023.
    """
    return lambda step: space.sample(1, np.random.default_rng([seed, step]))[0]


def by_stitches(space: StitchSpace, seed: int) -> Draw:
    """Draws the number of stitches first, uniformly, then a route with as many.

    Drawn uniformly over routes, anchors and single stitches would starve: of 4,795 routes
    of digits-resnet 4,043 have three stitches.
    """
    limited = [space.with_at_most(n) for n in range(space.max_stitches + 1)]
    sizes = [0, *(one.size for one in limited)]
    possible = [n for n in range(len(limited)) if sizes[n + 1] > sizes[n]]

    def draw(step: int) -> IntArray:
        rng = np.random.default_rng([seed, step])
        n_stitches = int(rng.choice(possible))
        while True:
            X = limited[n_stitches].sample(8, rng)
            exact = X[np.count_nonzero(X[:, 1:], axis=1) == n_stitches]
            if len(exact):
                row = np.zeros(1 + space.max_stitches, dtype=np.int64)
                row[: 1 + n_stitches] = exact[0]
                return row

    return draw


def by_resources(space: StitchSpace, seed: int) -> Draw:
    """Draws a group of routes with similar MACs first, uniformly, then one of its routes.

    A group opens where the MACs exceed the least of the last group by a fiftieth of the range,
    about a GMAC as in the paper. Of spaces too large to sort, a sample is taken.

    References:
        Pan, Liu, He, Cai, Zhuang: Stitched ViTs are Flexible Vision Backbones. ECCV 2024.
    """
    if space.size <= _LARGEST_GROUPED:
        X = np.concatenate(list(space.enumerate()))
    else:
        sampled = space.sample(_LARGEST_GROUPED, np.random.default_rng(seed))
        X = np.unique(np.concatenate([space.landmarks, sampled]), axis=0)
    macs = count_macs(space, X)
    order = np.argsort(macs, kind="stable")
    gap = np.ptp(macs) / _GROUPS
    starts, least = [0], macs[order[0]]
    for position, index in enumerate(order):
        if macs[index] > least + gap:
            starts.append(position)
            least = macs[index]
    groups = np.split(order, starts[1:])

    def draw(step: int) -> IntArray:
        rng = np.random.default_rng([seed, step])
        return np.asarray(X[rng.choice(groups[rng.integers(len(groups))])])

    return draw
