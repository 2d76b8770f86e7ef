from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import moocore
import numpy as np
import pytest
from pymoo.core.callback import Callback
from pymoo.core.evaluator import Evaluator
from pymoo.core.individual import Individual
from pymoo.core.population import Population
from pymoo.optimize import minimize
from pymoo.termination.default import DefaultMultiObjectiveTermination
from pymoo.termination.max_eval import MaximumFunctionCallTermination

from tailorbird import spaces
from tailorbird.errors import InfeasibleError
from tailorbird.predictors import Prediction
from tailorbird.search import Constraint, Objective, ParetoFront, Problem, exact_front
from tailorbird.search.algorithms.nsga2 import RowNSGA2, Rows, SpaceProblem, evolve, nsga2
from tailorbird.search.algorithms.variation import Variation
from tailorbird.search.archive import Archive
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.path_sum import adder
from tailorbird.spaces.stitching import StitchSpace

SPACE = spaces.get("digits-resnet", batch=1)
EVERYTHING = np.vstack(list(SPACE.enumerate()))


@dataclass(frozen=True)
class Weighted:
    """Adds up a weight per workload, and keeps what it was asked."""

    space: SearchSpace
    seed: int
    asked: list[IntArray] = field(default_factory=list, compare=False)

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.full(len(X), 0.1))

    def mean(self, X: IntArray) -> FloatArray:
        self.asked.append(X)
        rng = np.random.default_rng(self.seed)
        return adder(self.space, rng.uniform(0.1, 1, len(self.space.workloads)))(X)


def problem(
    space: SearchSpace = SPACE, n_objectives: int = 2, limit: float | None = None
) -> Problem:
    """The first objective is maximised; a limit is on the last."""
    objectives = tuple(
        Objective(f"o{i}", "ms" if i else "", "min" if i else "max", Weighted(space, i))
        for i in range(n_objectives)
    )
    limits = () if limit is None else (Constraint(objectives[-1], limit),)
    return Problem(space, objectives, limits)


START = EVERYTHING[np.random.default_rng(0).choice(len(EVERYTHING), 30, replace=False)]
REF_POINT = problem().reference_point(seed=0)


def search(seed: int, generations: int = 20, limit: float | None = None) -> ParetoFront:
    return nsga2(
        problem(limit=limit),
        population=40,
        generations=generations,
        seed=seed,
        ref_point=REF_POINT,
    )


def asked(of: Problem) -> list[IntArray]:
    """What was evaluated, by generation."""
    predictor = of.objectives[0].predictor
    assert isinstance(predictor, Weighted)
    return predictor.asked


def test_the_same_seed_gives_the_same_front_and_another_seed_another_search() -> None:
    first, again, other = search(1), search(1), search(2)
    np.testing.assert_array_equal(first.X, again.X)
    assert first.history == again.history
    assert first.history != other.history


def test_it_finds_nearly_all_there_is() -> None:
    whole = exact_front(problem()).hypervolume(REF_POINT)
    found = search(0, generations=60)
    assert found.hypervolume(REF_POINT) / whole > 0.98
    assert found.hypervolume(REF_POINT) == pytest.approx(found.history[-1])
    assert (np.diff(found.history) >= 0).all()
    assert len(found.history) == 60
    assert found.n_evaluations == 60 * 40


@pytest.mark.parametrize("name", ["digits-resnet", "nasbench201", "ofa-mobilenetv3"])
def test_it_starts_at_the_landmarks_and_repeats_nothing_in_a_generation(name: str) -> None:
    space = spaces.get(name)
    of = problem(space)
    nsga2(of, population=40, generations=20, seed=3)
    generations = asked(of)[:20]  # then the front is predicted
    assert [len(X) for X in generations] == [40] * 20
    for X in generations:
        np.testing.assert_array_equal(space.repair(X), X)
        assert len(np.unique(X, axis=0)) == len(X)
    for landmark in space.landmarks:
        assert (generations[0] == landmark).all(axis=1).any()


def test_what_lives_is_not_bred_again() -> None:
    of = problem()
    algorithm = RowNSGA2(START, 30, Variation(of))
    algorithm.setup(SpaceProblem(of, Archive(of)), termination=("n_gen", 30), seed=0)
    algorithm.next()
    while algorithm.has_next():
        living = {tuple(row) for row in algorithm.pop.get("X").tolist()}
        algorithm.next()
        assert living.isdisjoint(tuple(row) for row in algorithm.off.get("X").tolist())


def test_limits_hold() -> None:
    F, _ = problem().predict(EVERYTHING)
    limit = float(np.quantile(F[:, 1], 0.1))
    found = search(0, limit=limit)
    assert len(found)
    assert (found.values[:, 1] <= limit).all()
    assert found.history[-1] == pytest.approx(found.hypervolume(REF_POINT))
    assert found.hypervolume(REF_POINT) / exact_front(problem(limit=limit)).hypervolume(
        REF_POINT
    ) == pytest.approx(1, abs=0.02)


def test_it_finds_its_way_to_limits_that_it_did_not_start_within() -> None:
    F, _ = problem().predict(EVERYTHING)
    limit = float(np.quantile(F[:, 1], 0.01))
    of = problem(limit=limit)
    worst = EVERYTHING[np.argsort(F[:, 1])[-40:]]
    found = nsga2(of, population=40, generations=30, seed=0, ref_point=REF_POINT, start=worst)
    assert found.history[0] == 0.0
    assert (found.values[:, 1] <= limit).all()


def test_an_impossible_limit_names_the_nearest_miss() -> None:
    F, _ = problem().predict(EVERYTHING)
    with pytest.raises(InfeasibleError, match=r"o1_ms <= 0.001 must hold, but no network") as error:
        search(0, limit=0.001)
    assert f"o1_ms = {F[:, 1].min():.4g}" in str(error.value)


@pytest.mark.parametrize("n_objectives", [1, 2, 3])
def test_any_number_of_objectives(n_objectives: int) -> None:
    of = problem(n_objectives=n_objectives)
    ref = of.reference_point(seed=0)
    found = nsga2(of, population=60, generations=40, seed=0, ref_point=ref)
    F = of.minimised(EVERYTHING)
    whole = float(moocore.hypervolume(F[moocore.is_nondominated(F)], ref=ref))
    assert found.hypervolume(ref) / whole > 0.97
    if n_objectives == 1:
        assert found.F.ravel() == pytest.approx(F.min())


@pytest.mark.parametrize("population", [1, 2, 60, 200])
@pytest.mark.parametrize("max_stitches", [0, 1])
def test_spaces_smaller_than_the_population(population: int, max_stitches: int) -> None:
    space = spaces.get("deit-ti-s-b", max_stitches=max_stitches)
    assert space.size == (71 if max_stitches else 3)
    of = problem(space)
    found = nsga2(of, population=population, generations=30, seed=0)
    assert found.n_evaluations <= 30 * min(population, space.size)
    if population >= space.size:
        np.testing.assert_array_equal(found.X, exact_front(problem(space)).X)
        assert found.n_evaluations == space.size  # there is nothing left to breed


def test_a_population_grows_from_what_meets_the_limits(deit_like_space: StitchSpace) -> None:
    cost = problem(deit_like_space).objectives[1].predictor.mean
    (X,) = deit_like_space.enumerate()
    limit = float(np.quantile(cost(X), 0.5))
    of = problem(deit_like_space, limit=limit)
    one = X[[cost(X).argmin()]]
    last = evolve(of, start=one, population=20, generations=10, seed=0, archive=Archive(of))
    assert len(last) == 20
    assert (cost(last) <= limit).all()


def test_evolving_ends_with_the_best_of_what_it_saw() -> None:
    of = problem()
    archive, seen = Archive(of), list[int]()
    start = SPACE.sample(50, np.random.default_rng(0))
    start[10:20] = start[:10]
    last = evolve(
        of,
        start=start,
        generations=15,
        seed=0,
        archive=archive,
        observe=lambda: seen.append(archive.n_evaluations),
    )
    assert seen == [40 + 50 * i for i in range(15)]
    assert len(last) == 50
    np.testing.assert_array_equal(SPACE.repair(last), last)
    everything = np.vstack(asked(of))
    F = of.minimised(everything)
    best = F[moocore.is_nondominated(F)]
    np.testing.assert_allclose(np.unique(archive.F, axis=0), np.unique(best, axis=0))
    ours = of.minimised(last)
    assert moocore.hypervolume(ours, ref=REF_POINT) > 0.99 * moocore.hypervolume(
        best, ref=REF_POINT
    )


# As an algorithm of pymoo's


@pytest.fixture
def asked_by_pymoo() -> SpaceProblem:
    limited = problem(limit=15.0)
    return SpaceProblem(limited, Archive(limited))


@pytest.fixture
def algorithm(asked_by_pymoo: SpaceProblem) -> RowNSGA2:
    return RowNSGA2(START, 30, Variation(asked_by_pymoo.problem))


def test_pymoo_minimises_with_it(algorithm: RowNSGA2, asked_by_pymoo: SpaceProblem) -> None:
    sizes = list[int]()

    class Watching(Callback):  # type: ignore[misc]  # pymoo is untyped
        def notify(self, algorithm: Any) -> None:
            sizes.append(len(algorithm.pop))
            assert algorithm.pop.get("rank").shape == (30,)

    result = minimize(
        asked_by_pymoo,
        algorithm,
        MaximumFunctionCallTermination(200),
        seed=1,
        callback=Watching(),
        save_history=True,
    )
    assert sizes == [30] * 7
    assert [one.n_gen for one in result.history] == [1, 2, 3, 4, 5, 6, 7]
    assert result.algorithm.evaluator.n_eval == 210
    assert (result.G <= 0).all()
    assert moocore.is_nondominated(result.F, keep_weakly=True).all()
    np.testing.assert_allclose(asked_by_pymoo.problem.minimised(result.X), result.F)


def test_terminations_that_look_at_the_optimum_end_it(
    algorithm: RowNSGA2, asked_by_pymoo: SpaceProblem
) -> None:
    ends = DefaultMultiObjectiveTermination(period=10, n_max_gen=500)
    result = minimize(asked_by_pymoo, algorithm, ends, seed=1)
    assert 10 < result.algorithm.n_gen < 500


def test_displays_show_it(
    algorithm: RowNSGA2, asked_by_pymoo: SpaceProblem, capsys: pytest.CaptureFixture[str]
) -> None:
    from pymoo.util.display.multi import MultiObjectiveOutput

    algorithm.output = MultiObjectiveOutput()
    minimize(asked_by_pymoo, algorithm, ("n_gen", 3), seed=1, verbose=True)
    told = capsys.readouterr().out
    assert "cv_min" in told
    assert len(told.splitlines()) == 3 + 3


def test_ask_and_tell_do_what_next_does(algorithm: RowNSGA2, asked_by_pymoo: SpaceProblem) -> None:
    algorithm.setup(asked_by_pymoo, termination=("n_gen", 6), seed=4)
    while algorithm.has_next():
        offspring = algorithm.ask()
        F, G = asked_by_pymoo.evaluate(offspring.get("X"))
        offspring.set("F", F, "G", G)
        algorithm.tell(infills=offspring)
    of = asked_by_pymoo.problem
    last = evolve(of, start=START, generations=6, seed=4, archive=Archive(of))
    np.testing.assert_array_equal(algorithm.result().pop.get("X"), last)


def test_its_last_population_starts_an_algorithm_of_pymoo(
    algorithm: RowNSGA2, asked_by_pymoo: SpaceProblem
) -> None:
    from pymoo.algorithms.moo.nsga2 import NSGA2

    last = minimize(asked_by_pymoo, algorithm, ("n_gen", 3), seed=1).pop
    stock = NSGA2(pop_size=30, sampling=Population(list(last)))
    stock.setup(asked_by_pymoo, termination=("n_gen", 1), seed=1)
    stock.next()
    assert stock.evaluator.n_eval == 0  # all were evaluated already
    np.testing.assert_array_equal(
        np.unique(stock.pop.get("F"), axis=0), np.unique(last.get("F"), axis=0)
    )


Made = Callable[..., Any]


@pytest.mark.parametrize("made", [Rows.new, Population.new], ids=["rows", "pymoo"])
def test_populations_answer_alike(made: Made) -> None:
    X, F = np.arange(6).reshape(3, 2), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    pop = made("X", X)
    pop.set("F", F, "G", np.array([[-1.0, 0.5], [-1.0, -1.0], [2.0, 0.25]]))
    pop.set(rank=np.array([2, 0, 1]), n_gen=4)
    assert len(pop) == 3
    assert pop.has("F")
    assert pop.has("rank")
    for index in (slice(1, 3), np.array([False, True, True]), [1, 2], np.array([1, 2])):
        np.testing.assert_array_equal(pop[index].get("X"), X[1:])
    np.testing.assert_array_equal(pop.get("CV"), [[0.5], [0.0], [2.25]])
    got_x, rank, n_gen = pop.get("X", "rank", "n_gen")
    np.testing.assert_array_equal(got_x, X)
    np.testing.assert_array_equal(rank, [2, 0, 1])
    np.testing.assert_array_equal(n_gen, [4, 4, 4])
    np.testing.assert_array_equal(pop.get("feas"), [False, True, False])
    np.testing.assert_array_equal(pop.get("FEAS"), [[False], [True], [False]])
    np.testing.assert_array_equal(pop.get("f"), [1.0, 3.0, 5.0])
    np.testing.assert_array_equal(pop.get("cv"), [0.5, 0.0, 2.25])
    assert pop.get("H").shape == (3, 0)
    assert pop.get("unheard of").tolist() == [None] * 3
    assert [list(row) for row in pop.get("X", to_numpy=False)] == X.tolist()
    one = pop[-1]
    assert isinstance(one, Individual)
    assert one.CV == [2.25]
    assert one.get("rank") == 1
    assert [list(each.F) for each in pop] == F.tolist()
    both = type(pop).merge(pop[:1], pop[2:])
    np.testing.assert_array_equal(both.get("F"), F[[0, 2]])
    with pytest.raises(Exception, match=r"size|must be set to one value or as many"):
        pop.set("F", F[:2])


def test_individuals_are_evaluated_as_the_rows_are() -> None:
    rows = Rows.new(X=np.zeros((2, 3), dtype=int))
    assert not rows[0].evaluated
    rows.set(F=np.zeros((2, 2)), G=np.zeros((2, 0)))
    evaluator = Evaluator()
    of = problem()
    evaluator.eval(SpaceProblem(of, Archive(of)), Population(list(rows)))
    assert evaluator.n_eval == 0


def test_excess_is_that_of_pymoo() -> None:
    of = problem(limit=15.0)
    pymoos = SpaceProblem(of, Archive(of))
    X = SPACE.sample(20, np.random.default_rng(0))
    stock = Population.new(X=X)
    Evaluator().eval(pymoos, stock)
    ours = Rows.new(X=X)
    F, G = pymoos.evaluate(X)
    ours.set(F=F, G=G)
    np.testing.assert_array_equal(stock.get("CV"), ours.get("CV"))
    np.testing.assert_array_equal(stock.get("CV"), Population(list(ours)).get("CV"))
