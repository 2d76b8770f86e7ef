"""Exact fronts: of all architectures of a space."""

from dataclasses import replace

from tailorbird.predictors.built_costs import BuiltCost
from tailorbird.search.algorithms.exact.dynamic_program import pareto_paths
from tailorbird.search.algorithms.exact.path_problem import PathProblem, why_none
from tailorbird.search.archive import Archive
from tailorbird.search.front import ParetoFront
from tailorbird.search.problem import Problem
from tailorbird.search.settings import SearchSettings
from tailorbird.spaces.layered import MAX_ENUMERATED
from tailorbird.spaces.space import LARGEST_LISTED

LARGEST_ENUMERATED = LARGEST_LISTED
"""Spaces up to this size are enumerated beside the search, in about ten seconds."""

_LARGEST_BUILT = 5_000  # networks, where each must be built to know what it costs
_MOST_OBJECTIVES, _MOST_PROPERTIES = 3, 4
# Of ofa-mobilenetv3, two objectives take a tenth of a second, three a second, four a minute, and
# three with a limit on a fourth property ten seconds.


def has_exact_front(problem: Problem) -> bool:
    """True if the exact front can be found in some seconds, beside a search."""
    limited = [constraint.objective for constraint in problem.constraints]
    if any(isinstance(one.predictor, BuiltCost) for one in (*problem.objectives, *limited)):
        return problem.space.size <= _LARGEST_BUILT
    if problem.space.size <= LARGEST_ENUMERATED:
        return True
    paths = PathProblem.of(problem)
    return (
        paths is not None
        and len(problem.objectives) <= _MOST_OBJECTIVES
        and len(paths.properties) <= _MOST_PROPERTIES
    )


def exact_front(problem: Problem) -> ParetoFront:
    """The front of every architecture of a space.

    It is found by `pareto_paths` where all objectives and constraints add up along the paths of a
    layered space, however large, and by enumeration elsewhere.

    Raises:
        InfeasibleError: if no architecture meets the constraints.
        ValueError: if the space is too large to enumerate.
    """
    if PathProblem.of(problem) is not None:
        return pareto_paths(problem)
    return enumerated_front(problem)


def enumerated_front(problem: Problem) -> ParetoFront:
    """The front of every architecture of a space, in memory for one chunk.

    Raises:
        InfeasibleError: if no architecture meets the constraints.
        ValueError: if the space is too large to enumerate.
    """
    space = problem.space
    if space.size > MAX_ENUMERATED:
        raise ValueError(
            f"The exact front is found up to {MAX_ENUMERATED:,} architectures, or where all that "
            "is traded off and limited adds up along the paths of a layered space, but there are "
            f"{space.size:,}, and {why_none(problem)}"
        )
    archive = Archive(problem)
    for X in space.enumerate():
        F = problem.minimised(X)
        archive.add(X, F, problem.violation(X, F))
    return replace(archive.front(), exact=True)


def search(problem: Problem, settings: SearchSettings) -> ParetoFront:
    """The exact front; of the settings of a recipe, none matters."""
    return exact_front(problem)
