import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import moocore
import numpy as np
import pytest

from tailorbird import spaces
from tailorbird.errors import InfeasibleError
from tailorbird.predictors import Prediction
from tailorbird.search import Constraint, Objective, ParetoFront, Problem, exact_front
from tailorbird.search.algorithms.optuna_search import check_sampler, optuna_search
from tailorbird.search.algorithms.random_search import random_search
from tailorbird.search.algorithms.regularised_evolution import regularised_evolution
from tailorbird.search.budget import Budget
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

SPACE = spaces.get("macro-mobilenetv2")  # 3^8 networks, every row of which is canonical
STITCHES = spaces.get("digits-resnet", max_stitches=1)  # 76, of 292 rows
REPAIRED = spaces.get("nasbench201")


@dataclass(frozen=True, eq=False)
class Weighted:
    """Adds up a weight per workload, and remembers of what the means were asked."""

    space: SearchSpace
    weights: FloatArray
    asked: list[IntArray] = field(default_factory=list)

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self._sum(X), np.full(len(X), 0.1))

    def mean(self, X: IntArray) -> FloatArray:
        self.asked.append(X)
        return self._sum(X)

    def _sum(self, X: IntArray) -> FloatArray:
        return np.asarray(self.space.count_workloads(X) @ self.weights)


def problem(space: SearchSpace = SPACE) -> Problem:
    """Costs go with worth, so that there is something to trade off."""
    rng = np.random.default_rng(7)
    n = len(space.workloads)
    worth = rng.uniform(0.1, 1.0, n)
    cost = worth * rng.uniform(0.5, 1.5, n)
    return Problem(
        space,
        (
            Objective("accuracy", "", "max", Weighted(space, worth)),
            Objective("latency", "ms", "min", Weighted(space, cost)),
        ),
    )


def asked(of: Problem) -> IntArray:
    """Rows in the order of their evaluation."""
    predictor = of.objectives[0].predictor
    assert isinstance(predictor, Weighted)
    return np.vstack(predictor.asked)


def tpe(problem: Problem, **settings: object) -> ParetoFront:
    return optuna_search(problem, sampler="TPESampler", **settings)  # type: ignore[arg-type]


def nsga2_of_optuna(problem: Problem, **settings: object) -> ParetoFront:
    return optuna_search(problem, sampler="NSGAIISampler", **settings)  # type: ignore[arg-type]


def evolution(problem: Problem, **settings: object) -> ParetoFront:
    return regularised_evolution(problem, population=20, sample=5, **settings)  # type: ignore[arg-type]


Search = Callable[..., ParetoFront]
REF_POINT = problem().reference_point(seed=0)
every_search = pytest.mark.parametrize("search", [random_search, evolution, tpe, nsga2_of_optuna])


@every_search
@pytest.mark.parametrize("space", [SPACE, STITCHES, REPAIRED], ids=lambda space: space.name)
def test_every_architecture_is_evaluated_once_and_the_start_comes_first(
    search: Search, space: SearchSpace
) -> None:
    start = space.sample(6, np.random.default_rng(1))[[0, 1, 2, 0, 3, 4, 5]]
    searched = problem(space)
    front = search(searched, n_evaluations=60, seed=0, start=start)
    rows = asked(searched)
    assert len(rows) == len(np.unique(rows, axis=0)) == front.n_evaluations == 60
    np.testing.assert_array_equal(space.repair(rows), rows)
    np.testing.assert_array_equal(rows[:6], start[[0, 1, 2, 4, 5, 6]])
    expected = ParetoFront.of(rows, problem(space))
    np.testing.assert_allclose(front.F, expected.F)  # of equals any one stays
    assert front.history == ()
    assert front.seed == 0


@every_search
def test_history_is_the_hypervolume_after_each_evaluation(search: Search) -> None:
    searched = problem()
    front = search(searched, n_evaluations=50, seed=1, ref_point=REF_POINT)
    F, _ = problem().predict(asked(searched))
    slow = [moocore.hypervolume(F[: n + 1], ref=REF_POINT) for n in range(50)]
    np.testing.assert_allclose(front.history, slow)
    assert front.hypervolume(REF_POINT) == pytest.approx(front.history[-1])


@every_search
def test_the_same_seed_asks_the_same_and_another_seed_something_else(search: Search) -> None:
    first, again, other = problem(), problem(), problem()
    for searched, seed in ((first, 3), (again, 3), (other, 4)):
        search(searched, n_evaluations=40, seed=seed)
    np.testing.assert_array_equal(asked(first), asked(again))
    assert not np.array_equal(asked(first), asked(other))


@pytest.mark.parametrize("search", [random_search, evolution, nsga2_of_optuna])
@pytest.mark.parametrize("n_evaluations", [STITCHES.size, STITCHES.size + 1000])
def test_a_budget_for_all_finds_all_there_is(search: Search, n_evaluations: int) -> None:
    front = search(problem(STITCHES), n_evaluations=n_evaluations, seed=0)
    assert front.n_evaluations == STITCHES.size
    np.testing.assert_array_equal(front.X, exact_front(problem(STITCHES)).X)


@every_search
def test_a_start_beyond_the_budget_is_cut(search: Search) -> None:
    start = np.unique(SPACE.sample(50, np.random.default_rng(0)), axis=0)
    searched = problem()
    assert search(searched, n_evaluations=10, seed=0, start=start).n_evaluations == 10
    np.testing.assert_array_equal(asked(searched), start[:10])


def limited(share: float) -> Problem:
    """Of which only this share of the space is fast enough."""
    cost = problem().objectives[1]
    every = np.vstack(list(SPACE.enumerate()))
    limit = float(np.quantile(cost.predictor.mean(every), share))
    return replace(problem(), constraints=(Constraint(cost, limit),))


@every_search
def test_limits_hold_and_what_breaks_them_is_no_part_of_the_hypervolume(search: Search) -> None:
    searched = limited(0.3)
    front = search(searched, n_evaluations=60, seed=0, ref_point=REF_POINT)
    assert (front.values[:, 1] <= searched.constraints[0].limit).all()
    assert front.hypervolume(REF_POINT) == pytest.approx(front.history[-1])
    impossible = replace(searched, constraints=(Constraint(searched.objectives[1], 1e-3),))
    with pytest.raises(InfeasibleError, match=r"latency_ms <= 0.001 must hold"):
        search(impossible, n_evaluations=15, seed=0)


@pytest.mark.parametrize("search", [evolution, nsga2_of_optuna])
def test_limits_are_heeded_on_the_way(search: Search) -> None:
    """Random search meets these in one network of fifty."""
    feasible = []
    for seed in range(3):
        searched = limited(0.02)
        search(searched, n_evaluations=120, seed=seed)
        F, _ = problem().predict(asked(searched)[60:])
        feasible.append(np.mean(F[:, 1] <= searched.constraints[0].limit))
    assert np.mean(feasible) > 0.05


def test_evolution_beats_chance() -> None:
    reached = {}
    for search in (random_search, evolution):
        fronts = [
            search(problem(), n_evaluations=150, seed=seed, ref_point=REF_POINT)
            for seed in range(5)
        ]
        reached[search] = np.mean([front.history[-1] for front in fronts])
    whole = exact_front(problem()).hypervolume(REF_POINT)
    assert reached[evolution] / whole > reached[random_search] / whole + 0.03


def test_the_old_die_however_good() -> None:
    """A population of one begets its successor, whatever that is worth."""
    searched = problem()
    regularised_evolution(searched, n_evaluations=80, population=1, sample=3, seed=0)
    rows = asked(searched)
    changed = (rows[1:] != rows[:-1]).sum(axis=1)
    assert changed.min() == 1
    assert np.mean(changed == 1) > 0.8  # the others had met a network again on their way
    F, _ = problem().predict(rows)
    assert 0.2 < np.mean(np.diff(F[:, 0]) > 0) < 0.8


def test_the_first_population_is_the_start_and_then_chance() -> None:
    start = SPACE.landmarks
    searched = problem()
    regularised_evolution(searched, n_evaluations=30, population=30, sample=5, seed=0, start=start)
    drawn = asked(searched)[len(start) :]
    apart = (drawn[:, None] != asked(searched)[None]).sum(axis=2)
    assert np.median(apart) >= 5  # of 8 variables; children would be one or two apart


@pytest.mark.parametrize("name", ["population", "sample"])
def test_a_population_and_a_sample_of_none_are_refused(name: str) -> None:
    sizes = {"population": 5, "sample": 2, name: 0}
    with pytest.raises(ValueError, match=f"`{name} >= 1` must hold"):
        regularised_evolution(
            problem(),
            n_evaluations=5,
            population=sizes["population"],
            sample=sizes["sample"],
            seed=0,
        )


@every_search
def test_no_evaluations_are_refused(search: Search) -> None:
    with pytest.raises(ValueError, match="`n_evaluations >= 1` must hold, but got 0"):
        search(problem(), n_evaluations=0, seed=0)


@pytest.mark.parametrize(
    "sampler", ["BruteForceSampler", "NSGAIIISampler", "QMCSampler", "RandomSampler", "GPSampler"]
)
def test_samplers_of_optuna_by_name(sampler: str) -> None:
    searched = problem()
    front = optuna_search(
        searched, sampler=sampler, n_evaluations=11, seed=0, start=SPACE.landmarks
    )
    assert front.n_evaluations == len(np.unique(asked(searched), axis=0)) == 11


def test_brute_force_goes_on_where_all_rows_were_suggested() -> None:
    front = optuna_search(problem(STITCHES), sampler="BruteForceSampler", n_evaluations=70, seed=0)
    assert front.n_evaluations == 70


def test_a_sampler_that_is_not_there_or_does_one_objective_is_refused() -> None:
    for name in ("TPSampler", "GridSampler", "BaseSampler"):
        with pytest.raises(ValueError, match=f"no sampler named '{name}'; did you mean "):
            optuna_search(problem(), sampler=name, n_evaluations=5, seed=0)
    with pytest.raises(ValueError, match="CmaEsSampler must do 2 objectives, but it does one"):
        optuna_search(problem(), sampler="CmaEsSampler", n_evaluations=5, seed=0)


def test_a_sampler_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(ValueError, match=r"CmaEsSampler needs a package .*cmaes.* Install it with"):
        check_sampler("CmaEsSampler", n_objectives=1)


def test_one_objective_is_enough() -> None:
    best = problem(STITCHES).objectives[:1]
    exact = exact_front(Problem(STITCHES, best))
    for search in (random_search, evolution, nsga2_of_optuna):
        front = search(Problem(STITCHES, best), n_evaluations=STITCHES.size, seed=0)
        np.testing.assert_array_equal(front.X, exact.X)


def test_draws_are_uniform_over_what_is_left() -> None:
    """Also where most of a space was evaluated, so that drawing again would not do."""
    every = np.vstack(list(STITCHES.enumerate()))
    times = np.zeros(len(every))
    for seed in range(400):
        budget = Budget(problem(STITCHES), 10**6)
        budget.evaluate(budget.new(every[:50]))
        drawn = budget.draw(7, np.random.default_rng(seed))
        assert len(drawn) == 7
        times += (every[:, None] == drawn).all(axis=2).any(axis=1)
    assert not times[:50].any()
    expected = 400 * 7 / (len(every) - 50)
    assert np.abs(times[50:] - expected).max() < 5 * np.sqrt(expected)


def test_tournaments_take_a_quarter_of_the_population_unless_told() -> None:
    usual, told = (
        regularised_evolution(problem(), n_evaluations=120, population=20, sample=sample)
        for sample in (None, 5)
    )
    np.testing.assert_array_equal(usual.X, told.X)
