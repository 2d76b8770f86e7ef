"""Anchors go from small to large."""

import numpy as np

from tailorbird.errors import RecipeError
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching.space import StitchSpace


def check_order(space: StitchSpace) -> None:
    """Refuses a family whose anchors do not grow. Imports torch.

    Raises:
        RecipeError: naming the first two anchors that are the wrong way round.
    """
    names, macs = space.family.anchors, count_macs(space, space.landmarks)
    for a in np.flatnonzero(np.diff(macs) <= 0):
        raise RecipeError(
            f"Anchors must be ordered from small to large, but in {space.family.name} "
            f"{names[a]} takes {macs[a]:,} MACs and {names[a + 1]}, behind it, {macs[a + 1]:,}. "
            "Put the smaller one first."
        )
