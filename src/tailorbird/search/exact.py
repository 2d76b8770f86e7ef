"""The front of a whole space."""

from dataclasses import replace

from tailorbird.search.archive import Archive
from tailorbird.search.front import ParetoFront
from tailorbird.search.problem import Problem

LARGEST_ENUMERATED = 200_000
"""Spaces up to this size are enumerated beside the search, in about ten seconds."""


def exact_front(problem: Problem) -> ParetoFront:
    """The front of every architecture of a space, in memory for one chunk.

    Raises:
        InfeasibleError: if no architecture meets the limits.
        ValueError: if the space is too large to enumerate.
    """
    archive = Archive(problem)
    for X in problem.space.enumerate():
        F = problem.minimised(X)
        archive.add(X, F, problem.violation(X, F))
    return replace(archive.front(), exact=True)
