"""The searches that recipes know, each on a problem whose objectives are all predicted."""

from tailorbird.errors import RecipeError, TailorbirdError
from tailorbird.recipe import SearchSection
from tailorbird.search import ParetoFront, Problem, best, exact_front
from tailorbird.search.algorithms.nsga2 import nsga2
from tailorbird.search.algorithms.optuna_search import check_sampler, optuna_search
from tailorbird.search.algorithms.random_search import random_search
from tailorbird.search.algorithms.regularised_evolution import regularised_evolution
from tailorbird.spaces import FloatArray

_TOURNAMENT = 0.25  # of the population, as in the paper


def check(asked: SearchSection) -> None:
    """Refuses what is sure not to work, before hours of measuring.

    Raises:
        RecipeError: naming it.
    """
    if asked.algorithm == "optuna":
        try:
            check_sampler(asked.sampler, len(asked.objectives) + len(asked.devices))
        except ValueError as error:
            raise RecipeError(f"[search] sampler: {error}") from None


def searched(
    problem: Problem, asked: SearchSection, seed: int, ref_point: FloatArray
) -> ParetoFront:
    """The front by the algorithm that a recipe names, unless that learns while it searches.

    Args:
        problem: to be solved.
        asked: the recipe's section; what is no generation counts predictions, as many as these
            would make.
        seed: of the recipe.
        ref_point: for histories of hypervolume, (m,).

    Raises:
        InfeasibleError: if no network meets the limits.
        RecipeError: if the algorithm cannot solve such a problem.
    """
    try:
        return _searched(problem, asked, seed, ref_point)
    except TailorbirdError:
        raise
    except (ValueError, TimeoutError) as error:
        raise RecipeError(f'[search] algorithm = "{asked.algorithm}": {error}') from error


def _searched(
    problem: Problem, asked: SearchSection, seed: int, ref_point: FloatArray
) -> ParetoFront:
    n_evaluations = asked.population * asked.generations
    match asked.algorithm:
        case "exact":
            return exact_front(problem)
        case "best":
            return best(problem)
        case "random":
            return random_search(
                problem, n_evaluations=n_evaluations, seed=seed, ref_point=ref_point
            )
        case "evolution":
            return regularised_evolution(
                problem,
                n_evaluations=n_evaluations,
                population=asked.population,
                sample=max(2, round(_TOURNAMENT * asked.population)),
                seed=seed,
                ref_point=ref_point,
            )
        case "optuna":
            return optuna_search(
                problem,
                sampler=asked.sampler,
                n_evaluations=n_evaluations,
                seed=seed,
                ref_point=ref_point,
            )
    return nsga2(
        problem,
        population=asked.population,
        generations=asked.generations,
        seed=seed,
        ref_point=ref_point,
    )
