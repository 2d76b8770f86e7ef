"""What turns predictors into a front."""

from tailorbird.search.exact import LARGEST_ENUMERATED, exact_front
from tailorbird.search.front import ParetoFront
from tailorbird.search.objective import Objective, evaluate, reference_point

__all__ = [
    "LARGEST_ENUMERATED",
    "Objective",
    "ParetoFront",
    "evaluate",
    "exact_front",
    "reference_point",
]
