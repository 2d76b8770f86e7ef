"""Networks in groups of about the same size."""

from dataclasses import dataclass

import numpy as np

from tailorbird.spaces import FloatArray, IntArray, SharedSpace
from tailorbird.spaces.footprint import count_macs

LARGEST_GROUPED = 20_000
"""Size up to which all networks of a space are grouped; of larger ones, as many are sampled."""


@dataclass(frozen=True, slots=True, eq=False)
class SizeGroups:
    """Networks in groups that part the range of log MACs evenly.

    Attributes:
        space: of the networks.
        bounds: between one group and the next, log MACs, ascending.
        of_number: canonical rows (m, d) of each group by its number; those that are empty are left
            out.
    """

    space: SharedSpace
    bounds: FloatArray
    of_number: dict[int, IntArray]

    @property
    def rows(self) -> list[IntArray]:
        """Canonical rows (m, d) of each group that is not empty, small networks first."""
        return [*self.of_number.values()]

    def around(self, row: IntArray) -> IntArray:
        """Canonical rows (m, d) of the group of a network's size; itself if there is none."""
        log_macs = np.log(count_macs(self.space, row[None]))
        number = int(np.searchsorted(self.bounds, log_macs, side="right")[0])
        return self.of_number.get(number, row[None])


def size_groups(space: SharedSpace, seed: int, n: int) -> SizeGroups:
    """Networks of a space in at most n groups.

    Of spaces too large to sort, a sample is taken, half of it of networks whose choices are low or
    high together, since independent ones hardly differ in size.
    """
    if space.size <= LARGEST_GROUPED:
        X = every_row(space)
    else:
        rng = np.random.default_rng(seed)
        half = LARGEST_GROUPED // 2
        sampled = [space.landmarks, space.sample(half, rng), _together(space, half, rng)]
        X = np.unique(np.concatenate(sampled), axis=0)
    log_macs = np.log(count_macs(space, X))
    bounds = np.linspace(log_macs.min(), log_macs.max(), n + 1)[1:-1]
    group = np.searchsorted(bounds, log_macs, side="right")
    return SizeGroups(space, bounds, {int(k): X[group == k] for k in np.unique(group)})


def every_row(space: SharedSpace) -> IntArray:
    """All canonical rows (n, d)."""
    return np.concatenate(list(space.enumerate()))


def _together(space: SharedSpace, n: int, rng: np.random.Generator) -> IntArray:
    """Canonical rows (n, d) with each variable at about the same fraction of its choices."""
    last = np.array([len(variable.choices) - 1 for variable in space.variables])
    return space.repair(rng.binomial(last, rng.random((n, 1))))
