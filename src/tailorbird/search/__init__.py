"""What turns predictors into a front."""

from tailorbird.search.algorithms.exact.dynamic_program import pareto_paths
from tailorbird.search.algorithms.exact.front import (
    LARGEST_ENUMERATED,
    enumerated_front,
    exact_front,
    has_exact_front,
)
from tailorbird.search.algorithms.exact.integer_program import best
from tailorbird.search.front import ParetoFront
from tailorbird.search.objective import Constraint, Objective
from tailorbird.search.problem import Problem
from tailorbird.search.settings import SearchSettings

__all__ = [
    "LARGEST_ENUMERATED",
    "Constraint",
    "Objective",
    "ParetoFront",
    "Problem",
    "SearchSettings",
    "best",
    "enumerated_front",
    "exact_front",
    "has_exact_front",
    "pareto_paths",
]
