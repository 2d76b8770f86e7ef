"""Random search: what every other search must beat."""

import numpy as np

from tailorbird.search.budget import Budget
from tailorbird.search.front import ParetoFront
from tailorbird.search.problem import Problem
from tailorbird.search.settings import SearchSettings
from tailorbird.spaces import FloatArray, IntArray


def random_search(
    problem: Problem,
    *,
    n_evaluations: int,
    seed: int = 0,
    ref_point: FloatArray | None = None,
    start: IntArray | None = None,
) -> ParetoFront:
    """The front of architectures drawn uniformly, each once.

    Args:
        problem: of any number of objectives.
        n_evaluations: distinct architectures to look at; all of them if there are fewer.
        seed: the same seed gives the same front.
        ref_point: for the hypervolume after each evaluation, (m,); None to leave it out.
        start: canonical rows (k, d) to look at first; they count.

    Raises:
        InfeasibleError: if it saw nothing that meets the constraints.

    References:
        Li, Talwalkar: Random Search and Reproducibility for Neural Architecture Search. UAI 2019.
    """
    budget = Budget(problem, n_evaluations, ref_point)
    if start is not None:
        budget.evaluate(budget.new(start))
    budget.evaluate(budget.draw(budget.left, np.random.default_rng(seed)))
    return budget.front(seed)


def search(problem: Problem, settings: SearchSettings) -> ParetoFront:
    """Random search with the settings of a recipe."""
    return random_search(
        problem,
        n_evaluations=settings.n_evaluations,
        seed=settings.seed,
        ref_point=settings.ref_point,
    )
