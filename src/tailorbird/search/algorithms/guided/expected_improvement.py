"""How much hypervolume networks are expected to add to a front, and which of them to evaluate."""

import numpy as np
from scipy.special import ndtr
from scipy.stats import qmc

from tailorbird.spaces import FloatArray, IntArray

_RAYS = 1_024
_CHUNK = 512  # networks; their gains along all rays then stay in the cache
_AGAIN = 64  # networks whose gain is computed anew at a time
_SURE = 1e-12  # least std, so that what is certain can be divided by it
_ROOT_2_PI = np.sqrt(2 * np.pi)


class ExpectedImprovement:
    """Expected hypervolume improvement of normal, independent objectives, any number of them.

    Hypervolume is measured along rays: lines in the direction of one uncertain objective, from
    points that fill the box of the others. On each ray a front has a level, and what a network is
    expected to gain over it has a closed form; where the network is worse than the ray in another
    objective, it gains nothing, and where that is uncertain, it gains in proportion. With two
    objectives the rays stand in a row, and nothing is random.

    Args:
        F: minimised values of what is known, (n, m).
        ref_point: what hypervolume refers to, (m,).
        ideal_point: what no network is better than, (m,); for the box of rays.
        along: the objective in whose direction rays lie; should be an uncertain one.

    References:
        Emmerich, Giannakoglou, Naujoks: Single- and Multiobjective Evolutionary Optimization
        Assisted by Gaussian Random Field Metamodels. IEEE TEC 10(4), 2006.
        Ginsbourger, Le Riche, Carraro: Kriging Is Well-Suited to Parallelize Optimization. 2010
        (batches by believing predictions).
    """

    def __init__(
        self, F: FloatArray, ref_point: FloatArray, ideal_point: FloatArray, along: int
    ) -> None:
        self.along = along
        self._others = np.delete(np.arange(F.shape[1]), along)
        n_others = len(self._others)
        if n_others == 0:
            unit = np.zeros((1, 0))
        elif n_others == 1:
            unit = (np.arange(_RAYS)[:, None] + 0.5) / _RAYS
        else:
            unit = qmc.Sobol(n_others, scramble=False).random(_RAYS)
        low, high = ideal_point[self._others], ref_point[self._others]
        self._rays = low + unit * (high - low)
        self._width = float(np.prod(high - low)) / len(self._rays)
        self._level = np.full(len(self._rays), ref_point[along])
        self.believe(F)

    def believe(self, F: FloatArray) -> None:
        """Adds minimised values (n, m) of networks, as if they had been evaluated."""
        for f in F:
            reached = (f[self._others] <= self._rays).all(axis=1)
            self._level[reached] = np.minimum(self._level[reached], f[self.along])

    def __call__(self, F: FloatArray, std: FloatArray) -> FloatArray:
        """Expected improvement (n,) of networks with means and stds (n, m)."""
        chunks = range(0, len(F), _CHUNK)
        return np.concatenate(
            [self._of(F[i : i + _CHUNK], std[i : i + _CHUNK]) for i in chunks] or [np.empty(0)]
        )

    def _of(self, F: FloatArray, std: FloatArray) -> FloatArray:
        spread = np.maximum(std, _SURE)
        u = (self._level - F[:, [self.along]]) / spread[:, [self.along]]
        gain = spread[:, [self.along]] * (u * ndtr(u) + np.exp(-np.square(u) / 2) / _ROOT_2_PI)
        for j, ray in zip(self._others, self._rays.T, strict=True):
            gain *= ndtr((ray - F[:, [j]]) / spread[:, [j]])
        return np.asarray(gain.sum(axis=1) * self._width)


def choose(
    improvement: ExpectedImprovement, F: FloatArray, std: FloatArray, chance: FloatArray, n: int
) -> IntArray:
    """Indices of at most n networks, the most promising first.

    Each is believed to have its mean before the next is chosen, so that no two are chosen for the
    same improvement.

    Args:
        improvement: over what is known; believes what is chosen afterwards.
        F: means, (k, m).
        std: stds, (k, m).
        chance: that constraints are met, (k,).
        n: how many; fewer if there are fewer.
    """
    gain = improvement(F, std) * chance
    chosen: list[int] = []
    while len(chosen) < min(n, len(F)):
        # Gains only ever fall, so whoever is ahead of all others when looked at again is best.
        fresh = set[int]()
        while (best := int(gain.argmax())) not in fresh:
            again = np.argsort(-gain, kind="stable")[
                : min(_AGAIN, len(gain) - len(chosen))
            ]  # none of the chosen
            gain[again] = improvement(F[again], std[again]) * chance[again]
            fresh.update(again.tolist())
        chosen.append(best)
        gain[best] = -1.0
        improvement.believe(F[[best]])
    return np.array(chosen, dtype=np.int64)
