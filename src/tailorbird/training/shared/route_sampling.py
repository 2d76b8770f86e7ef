"""Sampling of the networks of training steps, each from a generator of random numbers."""

from collections.abc import Callable, Sequence

import numpy as np

from tailorbird.registry.python_paths import check_named, load
from tailorbird.registry.route_draws import ROUTE_DRAWS
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.spaces.footprint import count_macs

Draw = Callable[[np.random.Generator], IntArray]
"""Gives a canonical row (d,)."""

_LARGEST_GROUPED = 20_000
_GROUPS = 50
_LOG_GROUPS = 20


def draw_of(name: str, space: SharedSpace, seed: int) -> Draw:
    """Draw by its name in recipes, for networks of a space that it is for.

    Raises:
        ContractError: if there is none of that name, or it is not for this space.
    """
    check_named(name, ROUTE_DRAWS, "draw of routes")
    draw: Draw = load(ROUTE_DRAWS[name].path)(space, seed)
    return draw


def uniform(space: SharedSpace, seed: int) -> Draw:
    """Draws every network with the same probability.

    References:
        Guo, Zhang, Mu, Heng, Liu, Wei, Sun: Single Path One-Shot Neural Architecture Search with
        Uniform Sampling. ECCV 2020.
        Pan, Cai, Zhuang: Stitchable Neural Networks. CVPR 2023.
    """
    return lambda rng: np.asarray(space.sample(1, rng)[0])


def by_resources(space: SharedSpace, seed: int) -> Draw:
    """Draws a group of networks with similar MACs first, uniformly, then one of its networks.

    A group opens where the MACs exceed the least of the last group by a fiftieth of the range,
    about a GMAC as in the paper. Of spaces too large to sort, a sample is taken.

    References:
        Pan, Liu, He, Cai, Zhuang: Stitched ViTs are Flexible Vision Backbones. ECCV 2024.
    """
    if space.size <= _LARGEST_GROUPED:
        X = _all(space)
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
    return _by_group(X, np.split(order, starts[1:]))


def by_log_macs(space: SharedSpace, seed: int) -> Draw:
    """Draws one of twenty groups first, uniformly, which part the range of log MACs evenly.

    Drawn uniformly over networks, small and large ones would starve: most networks of a space are
    of about the same size. Of spaces too large to sort, a sample is taken, half of it of networks
    whose choices are low or high together, since independent ones hardly differ in size.
    """
    if space.size <= _LARGEST_GROUPED:
        X = _all(space)
    else:
        rng = np.random.default_rng(seed)
        n = _LARGEST_GROUPED // 2
        sampled = [space.landmarks, space.sample(n, rng), _together(space, n, rng)]
        X = np.unique(np.concatenate(sampled), axis=0)
    log_macs = np.log(count_macs(space, X))
    bounds = np.linspace(log_macs.min(), log_macs.max(), _LOG_GROUPS + 1)[1:-1]
    group = np.searchsorted(bounds, log_macs, side="right")
    return _by_group(X, [np.flatnonzero(group == number) for number in np.unique(group)])


def _all(space: SharedSpace) -> IntArray:
    return np.concatenate(list(space.enumerate()))


def _together(space: SharedSpace, n: int, rng: np.random.Generator) -> IntArray:
    """Canonical rows (n, d) with each variable at about the same fraction of its choices."""
    last = np.array([len(variable.choices) - 1 for variable in space.variables])
    return space.repair(rng.binomial(last, rng.random((n, 1))))


def _by_group(X: IntArray, groups: Sequence[IntArray]) -> Draw:
    """Draws a group of rows of X, then one of its rows."""
    return lambda rng: np.asarray(X[rng.choice(groups[int(rng.integers(len(groups)))])])
