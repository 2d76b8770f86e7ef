"""What a run relies on in a search under predictors."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tailorbird.errors import InfeasibleError
from tailorbird.predictors.choices import ChoiceSum
from tailorbird.predictors.counted_costs import WorkloadSum
from tailorbird.search import Constraint, Objective, ParetoFront, Problem, exact_front
from tailorbird.search.settings import SearchSettings
from tailorbird.spaces import SearchSpace

SETTINGS = SearchSettings(population=20, generations=15, sampler="NSGAIISampler", seed=3)
Search = Callable[[Problem, SearchSettings], ParetoFront]


class AlgorithmContract:
    """Needs fixtures `space` and `search`; the space must be one that can be enumerated.

    Attributes:
        n_objectives: that it can do.
        least: fraction of the exact front's hypervolume that 300 networks must give.
        is_exact: True if it looks at all networks, whatever its budget, and draws nothing.
    """

    n_objectives = 2
    least = 0.7
    is_exact = False

    @pytest.fixture
    def space(self) -> SearchSpace:
        raise NotImplementedError

    @pytest.fixture
    def search(self) -> Search:
        raise NotImplementedError

    @pytest.fixture
    def problem(self, space: SearchSpace) -> Problem:
        """More of what costs most is better; both add up, if need be over choices alone."""
        n, kind = len(space.workloads), WorkloadSum if space.workloads else ChoiceSum
        n = n or sum(len(variable.choices) for variable in space.variables)
        rng = np.random.default_rng(0)
        value = rng.uniform(0.5, 1.5, n)
        cost = value * rng.uniform(0.5, 1.5, n)
        worth = Objective("worth", "", "max", kind(space, value))
        ms = Objective("latency", "ms", "min", kind(space, cost))
        return Problem(space, (worth, ms)[: self.n_objectives])

    def settings(self, problem: Problem) -> SearchSettings:
        return replace(SETTINGS, ref_point=problem.reference_point(0))

    def test_it_gives_a_front_of_the_problem(self, problem: Problem, search: Search) -> None:
        front = search(problem, self.settings(problem))
        np.testing.assert_array_equal(problem.space.repair(front.X), front.X)
        assert front.objectives == problem.objectives
        np.testing.assert_allclose(front.F, problem.predict(front.X)[0])
        assert len(ParetoFront.of(front.X, problem)) == len(front)
        assert all(np.isfinite(front.history))

    def test_it_finds_most_of_what_there_is(self, problem: Problem, search: Search) -> None:
        settings = self.settings(problem)
        assert settings.ref_point is not None
        whole = exact_front(problem).hypervolume(settings.ref_point)
        found = search(problem, settings).hypervolume(settings.ref_point)
        assert self.least <= found / whole <= 1 + 1e-9

    def test_the_same_seed_gives_the_same_front(self, problem: Problem, search: Search) -> None:
        settings = self.settings(problem)
        first, again = search(problem, settings), search(problem, settings)
        np.testing.assert_array_equal(first.X, again.X)

    def test_it_keeps_its_budget_and_its_seed_counts(
        self, problem: Problem, search: Search
    ) -> None:
        if not self.is_exact:
            few = replace(self.settings(problem), population=8, generations=2)
            first, other = search(problem, few), search(problem, replace(few, seed=4))
            assert 0 < first.n_evaluations <= few.n_evaluations
            assert not np.array_equal(first.X, other.X)

    def test_constraints_hold(self, problem: Problem, search: Search) -> None:
        first = problem.objectives[0]
        X = problem.space.sample(200, np.random.default_rng(1))
        limit = float(np.quantile(problem.mean(first, X), 0.4))
        limited = replace(problem, constraints=(Constraint(first, limit),))
        front = search(limited, self.settings(problem))
        assert (limited.violation(front.X, front.F) <= 0).all()

    def test_what_nothing_meets_is_told(self, problem: Problem, search: Search) -> None:
        worth = problem.objectives[0]
        limited = replace(problem, constraints=(Constraint(worth, 1e9),))
        with pytest.raises(InfeasibleError, match="must hold"):
            search(limited, self.settings(problem))
