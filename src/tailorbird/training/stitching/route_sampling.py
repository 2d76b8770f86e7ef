"""Sampling of stitched networks by their number of stitches, and of anchors among them."""

import numpy as np

from tailorbird.errors import ContractError
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training.shared.route_sampling import Draw


def by_stitches(space: SharedSpace, seed: int) -> Draw:
    """Draws the number of stitches first, uniformly, then a route with as many.

    Drawn uniformly over routes, anchors and single stitches would starve: of 4,795 routes
    of digits-resnet 4,043 have three stitches.

    Raises:
        ContractError: if networks of the space are not stitched.
    """
    if not isinstance(space, StitchSpace):
        raise ContractError(
            f"Routes are drawn by their number of stitches, but {space.name} has none: take "
            "another draw."
        )
    limited = [space.with_at_most(n) for n in range(space.max_stitches + 1)]
    sizes = [0, *(one.size for one in limited)]
    possible = [n for n in range(len(limited)) if sizes[n + 1] > sizes[n]]

    def draw(rng: np.random.Generator) -> IntArray:
        n_stitches = int(rng.choice(possible))
        while True:
            X = limited[n_stitches].sample(8, rng)
            exact = X[np.count_nonzero(X[:, 1:], axis=1) == n_stitches]
            if len(exact):
                row = np.zeros(1 + space.max_stitches, dtype=np.int64)
                row[: 1 + n_stitches] = exact[0]
                return row

    return draw


def with_share_of_anchors(draw: Draw, space: StitchSpace, share: float) -> Draw:
    """Draws an anchor, uniformly, in this share of all cases, and else a network with a stitch.

    Args:
        draw: gives networks of all kinds; those with stitches stay as likely among each other.
        space: of the networks.
        share: from 0 to below 1.

    Raises:
        ContractError: if it is another number, or no network has a stitch.
    """
    if not 0 <= share < 1:
        raise ContractError(
            f"share_of_anchors must be from 0 to below 1, or stitches never learn, but is {share}."
        )
    if not space.stitches:
        raise ContractError(
            f"share_of_anchors is for networks with stitches, but {space.name} has anchors alone."
        )
    X = space.landmarks

    def drawn(rng: np.random.Generator) -> IntArray:
        if rng.random() < share:
            return np.asarray(X[int(rng.integers(len(X)))])
        while not (row := draw(rng))[1:].any():
            pass
        return row

    return drawn
