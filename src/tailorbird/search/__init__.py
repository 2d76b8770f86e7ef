"""What turns predictors into a front."""

from tailorbird.search.exact import LARGEST_ENUMERATED, exact_front
from tailorbird.search.front import ParetoFront
from tailorbird.search.objective import Constraint, Objective
from tailorbird.search.problem import Problem

__all__ = [
    "LARGEST_ENUMERATED",
    "Constraint",
    "Objective",
    "ParetoFront",
    "Problem",
    "exact_front",
]
