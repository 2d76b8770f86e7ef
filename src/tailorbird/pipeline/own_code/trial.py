"""Networks that code of a user's own is tried with."""

import numpy as np

from tailorbird.spaces import IntArray, SearchSpace

_SAMPLES = 20


def rows_to_try(space: SearchSpace) -> IntArray:
    """Some distinct canonical rows, (n, d), reference architectures among them."""
    drawn = space.sample(_SAMPLES, np.random.default_rng(0))
    return np.unique(np.vstack([space.landmarks, drawn]), axis=0)
