"""The search algorithm that a recipe names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tailorbird.errors import ContractError, RecipeError, TailorbirdError
from tailorbird.pipeline.python_path import resolve, users_code
from tailorbird.predictors.counted_costs import WorkloadSum
from tailorbird.recipe import SearchSection
from tailorbird.registry.algorithms import entry_of
from tailorbird.registry.python_paths import is_path, load
from tailorbird.search import Objective, ParetoFront, Problem
from tailorbird.search.settings import SearchSettings
from tailorbird.spaces import SearchSpace

_KEY = "[search] algorithm"
_FEW = 4  # networks in each of two generations, to try an algorithm with

Algorithm = Callable[[Problem, SearchSettings], ParetoFront]


def algorithm_of(asked: SearchSection, home: Path) -> Algorithm:
    """A search under predictors, by the name in the recipe.

    Args:
        asked: the recipe's section.
        home: folder of the recipe.

    Raises:
        RecipeError: if a path names nothing, or settings do not fit.
    """
    if is_path(asked.algorithm):
        named = f"{_KEY} = {asked.algorithm!r}"
        search = resolve(asked.algorithm, home, _KEY)
        return lambda problem, settings: _checked(search, named, problem, settings)
    entry = entry_of(asked.algorithm)
    if entry.check:
        n_objectives = len(asked.objectives) + len(asked.devices)
        try:
            load(entry.check)(settings_of(asked, seed=0), n_objectives)
        except ValueError as error:
            raise RecipeError(f"[search] sampler: {error}") from None
    registered = load(entry.path)
    named = f'{_KEY} = "{asked.algorithm}"'
    return lambda problem, settings: _registered(registered, named, problem, settings)


def settings_of(asked: SearchSection, seed: int) -> SearchSettings:
    """Settings of a search, as a recipe has them."""
    return SearchSettings(asked.population, asked.generations, asked.sampler, seed)


def try_algorithm(search: Algorithm, space: SearchSpace, n_objectives: int) -> None:
    """Searches a few networks under made-up objectives.

    Raises:
        RecipeError: if the algorithm does not do what it must.
    """
    rng = np.random.default_rng(0)
    objectives = tuple(
        Objective(f"made_up_{i}", "", "min", WorkloadSum(space, values))
        for i, values in enumerate(rng.random((n_objectives, len(space.workloads))))
    )
    problem = Problem(space, objectives)
    search(problem, SearchSettings(_FEW, 2, "TPESampler", 0, problem.reference_point(0)))


def _registered(
    search: Algorithm, named: str, problem: Problem, settings: SearchSettings
) -> ParetoFront:
    try:
        return search(problem, settings)
    except TailorbirdError:
        raise
    except (ValueError, TimeoutError) as error:
        raise RecipeError(f"{named}: {error}") from error


def _checked(
    search: Callable[[Problem, SearchSettings], Any],
    named: str,
    problem: Problem,
    settings: SearchSettings,
) -> ParetoFront:
    """What a user's search gives, once it is known to be a front of the problem."""
    with users_code(named):
        front = search(problem, settings)
        if not isinstance(front, ParetoFront):
            raise ContractError(
                "A search must give a `tailorbird.search.ParetoFront`, such as that of "
                f"`ParetoFront.of(X, problem)`, but gave {type(front).__name__}."
            )
        shape = (len(front), len(problem.space.variables))
        if front.objectives != problem.objectives or front.X.shape != shape or not len(front):
            raise ContractError(
                "The front of a search must have rows of the space and the objectives of the "
                f"problem, but has rows of shape {front.X.shape} and "
                f"{len(front.objectives)} objectives."
            )
        if not np.array_equal(problem.space.repair(front.X), front.X):
            raise ContractError(
                "The rows of a front must be canonical: give them to `space.repair` before they "
                "are priced."
            )
    return front
