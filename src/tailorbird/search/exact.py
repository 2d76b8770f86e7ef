"""The front of a whole space."""

from dataclasses import replace

import moocore
import numpy as np

from tailorbird.search.front import ParetoFront
from tailorbird.search.objective import Objective, minimised
from tailorbird.spaces import SearchSpace

LARGEST_ENUMERATED = 200_000
"""Spaces up to this size are enumerated beside the search, in about ten seconds."""


def exact_front(space: SearchSpace, objectives: tuple[Objective, ...]) -> ParetoFront:
    """The front of every architecture of a space, in memory for one chunk.

    Raises:
        InfeasibleError: if no architecture meets the limits.
        ValueError: if the space is too large to enumerate.
    """
    # Whatever dominates a network that meets the limits meets them too, so limits can wait.
    X, F = space.landmarks, minimised(objectives, space.landmarks)
    n_evaluations = 0
    for chunk in space.enumerate():
        n_evaluations += len(chunk)
        X, F = np.vstack([X, chunk]), np.vstack([F, minimised(objectives, chunk)])
        keep = moocore.is_nondominated(F)
        X, F = X[keep], F[keep]
    return replace(ParetoFront.of(X, objectives), n_evaluations=n_evaluations, exact=True)
