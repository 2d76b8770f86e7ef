"""Searches of spaces: problems, algorithms and the fronts that they find.

A name is imported when it is first used, so that nobody pays for algorithms that are not used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tailorbird.search.algorithms.exact.dynamic_program import pareto_paths
    from tailorbird.search.algorithms.exact.front import (
        LARGEST_ENUMERATED,
        enumerated_front,
        exact_front,
        has_exact_front,
    )
    from tailorbird.search.algorithms.exact.integer_program import best
    from tailorbird.search.algorithms.guided.guided import guided
    from tailorbird.search.algorithms.guided.history import Evaluated, Unknown
    from tailorbird.search.algorithms.nsga2.evolution import nsga2
    from tailorbird.search.algorithms.optuna_search import optuna_search
    from tailorbird.search.algorithms.random_search import random_search
    from tailorbird.search.algorithms.regularised_evolution import regularised_evolution
    from tailorbird.search.front import ParetoFront
    from tailorbird.search.front_probability import with_probability
    from tailorbird.search.objective import Constraint, Objective
    from tailorbird.search.problem import Problem
    from tailorbird.search.result import SearchResult
    from tailorbird.search.settings import SearchSettings

__all__ = [
    "LARGEST_ENUMERATED",
    "Constraint",
    "Evaluated",
    "Objective",
    "ParetoFront",
    "Problem",
    "SearchResult",
    "SearchSettings",
    "Unknown",
    "best",
    "enumerated_front",
    "exact_front",
    "guided",
    "has_exact_front",
    "nsga2",
    "optuna_search",
    "pareto_paths",
    "random_search",
    "regularised_evolution",
    "with_probability",
]

_MODULES = {
    "Constraint": "objective",
    "Evaluated": "algorithms.guided.history",
    "LARGEST_ENUMERATED": "algorithms.exact.front",
    "Objective": "objective",
    "ParetoFront": "front",
    "Problem": "problem",
    "SearchResult": "result",
    "SearchSettings": "settings",
    "Unknown": "algorithms.guided.history",
    "best": "algorithms.exact.integer_program",
    "enumerated_front": "algorithms.exact.front",
    "exact_front": "algorithms.exact.front",
    "guided": "algorithms.guided.guided",
    "has_exact_front": "algorithms.exact.front",
    "nsga2": "algorithms.nsga2.evolution",
    "optuna_search": "algorithms.optuna_search",
    "pareto_paths": "algorithms.exact.dynamic_program",
    "random_search": "algorithms.random_search",
    "regularised_evolution": "algorithms.regularised_evolution",
    "with_probability": "front_probability",
}
"""Module below this package that defines each name."""


if not TYPE_CHECKING:  # or else type checkers would take any name for an export

    def __getattr__(name: str) -> Any:
        """Imports what a name stands for, at its first use (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Lists what is defined here, imported already or not."""
    return sorted({*globals(), *__all__})
