from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from tailorbird import spaces
from tailorbird.errors import EvaluationError, InfeasibleError
from tailorbird.predictors import AccuracyPredictor, Prediction
from tailorbird.predictors.counted_costs import WorkloadSum
from tailorbird.progress import NoProgress
from tailorbird.search import Constraint, Objective, ParetoFront, Problem, enumerated_front
from tailorbird.search.algorithms.guided.guided import guided
from tailorbird.search.algorithms.guided.history import Unknown
from tailorbird.search.algorithms.random_search import random_search
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

DIGITS = spaces.get("digits-resnet", batch=1)
MACRO = spaces.get("macro-mobilenetv2")
DEIT = spaces.get("deit-ti-s-b")


@dataclass(frozen=True)
class Truth:
    """Accuracies that grow with what workloads are worth, up to a point; remembers who asked."""

    space: SearchSpace
    seed: int = 0
    asked: list[IntArray] = field(default_factory=list)

    def mean(self, X: IntArray) -> FloatArray:
        self.asked.append(X)
        worth = np.random.default_rng(self.seed).random(len(self.space.workloads))
        total = np.asarray(self.space.count_workloads(X) @ worth)
        return np.asarray(0.95 - 0.6 * np.exp(-total / 4))

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.zeros(len(X)))

    @property
    def rows(self) -> list[tuple[int, ...]]:
        return [tuple(row) for X in self.asked for row in X.tolist()]


@dataclass(frozen=True)
class Task:
    """A problem with one unknown objective, and one that is priced."""

    problem: Problem
    unknown: Unknown
    truth: Truth

    @property
    def true_problem(self) -> Problem:
        accuracy, cost = self.problem.objectives
        limits = tuple(replace(c, objective=cost) for c in self.problem.constraints)
        return Problem(self.problem.space, (replace(accuracy, predictor=self.truth), cost), limits)


def task(space: SearchSpace, max_mega_macs: float | None = None) -> Task:
    learner, truth = AccuracyPredictor(space), Truth(space)
    accuracy = Objective("accuracy", "", "max", learner)
    cost = Objective("mega_macs", "", "min", WorkloadSum.mega_macs(space))
    limits = () if max_mega_macs is None else (Constraint(cost, max_mega_macs),)
    return Task(Problem(space, (accuracy, cost), limits), Unknown(accuracy, truth.mean), truth)


def search(of: Task, n: int, seed: int = 0, batch: int = 5, n_start: int = 10) -> ParetoFront:
    start = of.problem.space.sample(n_start, np.random.default_rng(seed))
    front, _ = guided(
        of.problem,
        [of.unknown],
        start=start,
        n_evaluations=n,
        batch=batch,
        seed=seed,
        progress=NoProgress(),
    )
    return front


@pytest.mark.parametrize("space", [DIGITS, MACRO], ids=["evolved", "enumerated"])
def test_nothing_is_evaluated_twice_and_the_budget_is_kept(space: SearchSpace) -> None:
    of = task(space)
    front = search(of, 28)
    assert len(of.truth.rows) == len(set(of.truth.rows)) == 28
    assert [len(X) for X in of.truth.asked[1:]] == [
        5,
        5,
        5,
        28 - 25 - (10 - len(of.truth.asked[0])),
    ]
    assert front.n_evaluations == len(front.history) == 28
    assert {tuple(row) for row in front.X.tolist()} <= set(of.truth.rows)
    np.testing.assert_allclose(front.values[:, 0], Truth(space).mean(front.X))
    np.testing.assert_array_equal(space.repair(front.X), front.X)


@pytest.mark.parametrize("space", [DIGITS, MACRO], ids=["evolved", "enumerated"])
def test_nothing_is_spent_beyond_a_reference_point(space: SearchSpace) -> None:
    of = task(space)
    cost, start = of.problem.objectives[1], space.sample(10, np.random.default_rng(0))
    limit = float(np.median(cost.predictor.mean(space.sample(200, np.random.default_rng(1)))))
    ref_point = np.array([0.0, limit])  # minimised: any accuracy, up to this cost
    arguments = {"start": start, "n_evaluations": 30, "seed": 0, "ref_point": ref_point}
    front, _ = guided(of.problem, [of.unknown], **arguments, progress=NoProgress())  # type: ignore[arg-type]  # of several types
    chosen = np.vstack(of.truth.asked[1:])
    assert (cost.predictor.mean(chosen) <= limit).all()
    assert front.history[-1] == pytest.approx(front.hypervolume(ref_point))


@pytest.mark.parametrize("space", [DIGITS, MACRO], ids=["evolved", "enumerated"])
def test_the_same_seed_gives_the_same_search(space: SearchSpace) -> None:
    first, again, other = (task(space) for _ in range(3))
    search(first, 20), search(again, 20), search(other, 20, seed=1)
    assert first.truth.rows == again.truth.rows != other.truth.rows


def test_it_finds_more_than_random_search_does_with_four_times_as_many_evaluations() -> None:
    ours, theirs = [], []
    for seed in range(3):
        of = task(MACRO)
        ref = of.true_problem.reference_point(0)
        ours.append(search(of, 40, seed).hypervolume(ref))
        theirs.append(random_search(of.true_problem, n_evaluations=160, seed=seed).hypervolume(ref))
    assert min(ours) > max(theirs)


def test_a_small_space_is_evaluated_whole_and_its_front_is_exact() -> None:
    of = task(DEIT)
    found, exact = search(of, 100), enumerated_front(of.true_problem)
    assert found.n_evaluations == DEIT.size == 71
    np.testing.assert_allclose(found.F, exact.F)


@pytest.mark.parametrize("space", [DIGITS, MACRO], ids=["evolved", "enumerated"])
def test_only_the_start_may_break_a_limit_on_what_is_priced(space: SearchSpace) -> None:
    drawn = space.sample(500, np.random.default_rng(9))
    cost = WorkloadSum.mega_macs(space)
    limit = float(np.quantile(cost.mean(drawn), 0.1))
    of = task(space, limit)
    front = search(of, 30)
    assert (front.values[:, 1] <= limit).all()
    for X in of.truth.asked[1:]:
        assert (cost.mean(X) <= limit).all()


def test_a_limit_that_nothing_meets_is_told_with_the_nearest_network() -> None:
    of = task(DEIT, 1.0)
    with pytest.raises(InfeasibleError, match=r"mega_macs <= 1 must hold.*\[ti:0-12\]|nearest"):
        search(of, 20)


def test_what_fails_is_left_out_and_not_asked_for_again() -> None:
    of = task(MACRO)

    def sometimes(X: IntArray) -> FloatArray:
        return np.where(X[:, 0] == 0, np.nan, of.truth.mean(X))

    failing = replace(of, unknown=replace(of.unknown, evaluate=sometimes))
    front = search(failing, 40, n_start=20)
    assert len(of.truth.rows) == len(set(of.truth.rows)) == 40
    assert (front.X[:, 0] != 0).all()
    assert np.isfinite(front.F).all()


def test_that_everything_fails_is_an_error() -> None:
    of = task(MACRO)
    never = replace(of, unknown=replace(of.unknown, evaluate=lambda X: np.full(len(X), np.nan)))
    with pytest.raises(EvaluationError, match="of 20 evaluations 0 succeeded, with 0 different"):
        search(never, 20)


def test_earlier_rows_teach_and_cost_nothing() -> None:
    of = task(MACRO)
    earlier = MACRO.sample(30, np.random.default_rng(5))
    earlier = np.unique(earlier, axis=0)
    front, evaluated = guided(
        of.problem,
        [of.unknown],
        start=earlier[:3],
        n_evaluations=10,
        batch=5,
        seed=0,
        progress=NoProgress(),
        earlier=earlier,
    )
    assert front.n_evaluations == len(front.history) == 10
    assert len(evaluated.X) == len(earlier) + 10
    assert len(of.truth.rows) == len(set(of.truth.rows)) == len(earlier) + 10


def test_several_unknown_objectives_and_a_single_one() -> None:
    of = task(MACRO)
    other = Truth(MACRO, seed=1)
    second = Objective("robustness", "", "max", AccuracyPredictor(MACRO))
    unknown = [of.unknown, Unknown(second, other.mean)]
    accuracy, cost = of.problem.objectives
    start = MACRO.sample(10, np.random.default_rng(0))
    for objectives, known in (((accuracy, second, cost), unknown), ((accuracy,), [of.unknown])):
        front, _ = guided(
            Problem(MACRO, objectives),
            known,
            start=start,
            n_evaluations=20,
            batch=5,
            seed=0,
            progress=NoProgress(),
        )
        assert front.F.shape[1] == len(objectives)
        assert front.n_evaluations == 20
    assert len(front) == 1
    random = Truth(MACRO).mean(MACRO.sample(20, np.random.default_rng(0)))
    assert front.values[0, 0] > random.max()


def test_a_limit_on_what_is_learned_is_weighed_by_how_likely_it_is_met() -> None:
    of = task(MACRO)
    accuracy, _ = of.problem.objectives
    limited = replace(of.problem, constraints=(Constraint(accuracy, 0.8),))
    F, std = np.array([[-0.8, 1.0], [-0.9, 1.0], [-0.7, 1.0]]), np.array([[0.1, 0.0]] * 3)
    chance = limited.chance(MACRO.sample(3, np.random.default_rng(0)), F, std)
    np.testing.assert_allclose(chance, [0.5, 0.8413, 0.1587], atol=1e-4)  # standard normal
    front = search(replace(of, problem=limited), 40)
    assert (front.values[:, 0] >= 0.8).all()


def test_equal_accuracies_teach_nothing_and_that_is_told() -> None:
    of = task(MACRO)
    same = replace(of, unknown=replace(of.unknown, evaluate=lambda X: np.full(len(X), 0.5)))
    with pytest.raises(EvaluationError, match=r"all 20 that were evaluated have 0.5. Take"):
        search(same, 20)


def test_an_objective_that_never_varies_does_no_harm() -> None:
    of = task(MACRO)
    constant = Objective("constant", "", "min", WorkloadSum(MACRO, np.zeros(len(MACRO.workloads))))
    three = replace(of.problem, objectives=(*of.problem.objectives, constant))
    found = search(replace(of, problem=three), 40)
    assert found.hypervolume(three_d(of.true_problem.reference_point(0))) == pytest.approx(
        search(task(MACRO), 40).hypervolume(of.true_problem.reference_point(0)), rel=0.1
    )
    assert (Problem(MACRO, (constant,)).reference_point(0) > 0).all()


def three_d(ref_point: FloatArray) -> FloatArray:
    return np.append(ref_point, 1.0)


def test_a_search_starts_by_itself_within_the_limits() -> None:
    of = task(MACRO, max_mega_macs=60.0)
    accuracy, cost = of.problem.objectives
    asked = list[IntArray]()

    def evaluate(X: IntArray) -> FloatArray:
        asked.append(X)
        return of.truth.mean(X)

    fronts = [guided(of.problem, [Unknown(accuracy, evaluate)], n_evaluations=20) for _ in range(2)]
    np.testing.assert_array_equal(fronts[0][0].F, fronts[1][0].F)
    assert [len(X) for X in asked[: len(asked) // 2]] == [10, 5, 5]
    for X in asked:
        assert (cost.predictor.mean(X) <= 60.0).all()


def test_what_is_unknown_must_be_learned() -> None:
    _, cost = task(MACRO).problem.objectives
    with pytest.raises(TypeError, match=r"`fit` and `refit`.*mega_macs is WorkloadSum"):
        Unknown(cost, np.ones)
