"""Sampling of the networks of training steps, each from a generator of random numbers."""

from collections.abc import Callable, Sequence

import numpy as np

from tailorbird.errors import ContractError, shown
from tailorbird.registry.python_paths import check_named, load
from tailorbird.registry.route_draws import ROUTE_DRAWS
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.spaces.footprint import count_macs
from tailorbird.training.shared.size_groups import LARGEST_GROUPED, every_row, size_groups

Draw = Callable[[np.random.Generator], IntArray]
"""Gives a canonical row (d,)."""

_GROUPS = 50
_LOG_GROUPS = 20


def check_routes_per_step(n: int) -> None:
    """Refuses a number of networks that no step can train.

    Raises:
        ContractError: if so.
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ContractError(f"routes_per_step must be a whole number from 1 on, but is {shown(n)}.")


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
    if space.size <= LARGEST_GROUPED:
        X = every_row(space)
    else:
        sampled = space.sample(LARGEST_GROUPED, np.random.default_rng(seed))
        X = np.unique(np.concatenate([space.landmarks, sampled]), axis=0)
    macs = count_macs(space, X)
    order = np.argsort(macs, kind="stable")
    gap = np.ptp(macs) / _GROUPS
    starts, least = [0], macs[order[0]]
    for position, index in enumerate(order):
        if macs[index] > least + gap:
            starts.append(position)
            least = macs[index]
    return _by_group([X[group] for group in np.split(order, starts[1:])])


def by_log_macs(space: SharedSpace, seed: int) -> Draw:
    """Draws one of twenty groups first, uniformly, which part the range of log MACs evenly.

    Drawn uniformly over networks, small and large ones would starve: most networks of a space are
    of about the same size. Of spaces too large to sort, a sample is taken, as `size_groups` says.
    """
    return _by_group(size_groups(space, seed, _LOG_GROUPS).rows)


def _by_group(groups: Sequence[IntArray]) -> Draw:
    """Draws a group, then one of its rows."""

    def draw(rng: np.random.Generator) -> IntArray:
        X = groups[int(rng.integers(len(groups)))]
        return np.asarray(X[int(rng.choice(len(X)))])

    return draw
