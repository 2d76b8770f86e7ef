"""The search algorithm that a recipe names."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tailorbird.errors import ContractError, InfeasibleError, RecipeError, TailorbirdError
from tailorbird.pipeline.python_path import resolve, users_code
from tailorbird.recipe import SearchSection
from tailorbird.registry.algorithms import entry_of
from tailorbird.registry.python_paths import is_path, load
from tailorbird.search import Constraint, ParetoFront, Problem
from tailorbird.search.settings import SearchSettings

_KEY = "[search] algorithm"
_FEW = 4  # networks in each of two generations, to try an algorithm with
_SAMPLED, _MEET = 50, 0.9  # networks, and the fraction of them that meet the constraint

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


def try_algorithm(search: Algorithm, problem: Problem) -> None:
    """Searches a few networks of a problem whose predictors are made up.

    Its constraints are replaced by one that most networks meet. That none is found which does is
    no fault of a search so short.

    Raises:
        RecipeError: if the algorithm does not do what it must.
    """
    first = problem.objectives[0]
    X = problem.space.sample(_SAMPLED, np.random.default_rng(0))
    values = first.sign * problem.mean(first, X)
    loose = Constraint(first, first.sign * float(np.quantile(values, _MEET)))
    tried = replace(problem, constraints=(loose,))
    with suppress(InfeasibleError):
        search(tried, SearchSettings(_FEW, 2, "TPESampler", 0, tried.reference_point(0)))


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
    """The front of the rows that a user's search gives, priced and limited here.

    Raises:
        RecipeError: if it gives no front of the problem.
        InfeasibleError: if none of its rows meets the constraints.
    """
    with users_code(named):
        front = search(problem, settings)
        _refuse_other_fronts(front, problem)
        n_evaluations, history = int(front.n_evaluations), tuple(map(float, front.history))
        if not np.isfinite(history).all():
            raise ContractError("The history of a front must be finite, but some of it is not.")
    checked = ParetoFront.of(front.X, problem, n_evaluations=n_evaluations)
    return replace(checked, seed=settings.seed, history=history)


def _refuse_other_fronts(front: object, problem: Problem) -> None:
    if not isinstance(front, ParetoFront):
        raise ContractError(
            "A search must give a `tailorbird.search.ParetoFront`, such as that of "
            f"`ParetoFront.of(X, problem)`, but gave {type(front).__name__}."
        )
    if front.objectives != problem.objectives:
        raise ContractError(
            "The front of a search must have the objectives of its problem, but has "
            f"{', '.join(objective.column for objective in front.objectives) or 'none'}."
        )
    n_choices = np.array([len(variable.choices) for variable in problem.space.variables])
    X = np.asarray(front.X)
    is_row = X.ndim == 2 and X.shape[1] == len(n_choices) and np.issubdtype(X.dtype, np.integer)
    if not (is_row and len(X) and ((X >= 0) & (n_choices > X)).all()):
        raise ContractError(
            f"A front must have rows of shape (n, {len(n_choices)}), at least one, of whole "
            f"numbers within the choices of the space, but has {X.dtype} of shape {X.shape}."
        )
    if not np.array_equal(problem.space.repair(X), X):
        raise ContractError(
            "The rows of a front must be canonical: give them to `space.repair` before they "
            "are priced."
        )
