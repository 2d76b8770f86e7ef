"""Networks that code of a user's own is tried with."""

import numpy as np

from tailorbird.spaces import IntArray, SearchSpace

_FEWEST = 20
_DRAWS = 20  # of as many rows as are wanted, after which those found must do


def rows_to_try(space: SearchSpace, n: int = _FEWEST) -> IntArray:
    """Distinct canonical rows, (m, d), reference architectures among them.

    Args:
        space: of the rows.
        n: how many at least, unless the space has fewer.
    """
    n, rng = min(max(n, _FEWEST), space.size), np.random.default_rng(0)
    X = np.unique(space.landmarks, axis=0)
    for _ in range(_DRAWS):
        if len(X) >= n:
            break
        X = np.unique(np.vstack([X, space.sample(n, rng)]), axis=0)
    return X
