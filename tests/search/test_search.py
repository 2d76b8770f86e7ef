from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tailorbird import spaces
from tailorbird.errors import InfeasibleError
from tailorbird.predictors import FloatArray, Prediction
from tailorbird.progress import NoProgress
from tailorbird.search import Constraint, Objective, ParetoFront, Problem, exact_front
from tailorbird.search.nsga2 import nsga2
from tailorbird.search.study import Study
from tailorbird.spaces import IntArray, SearchSpace

SPACE = spaces.get("digits-resnet", batch=1)
EVERYTHING = np.vstack(list(SPACE.enumerate()))


@dataclass(frozen=True)
class Weighted:
    """Adds up a weight per workload."""

    space: SearchSpace
    weights: tuple[float, ...]

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.full(len(X), 0.1))

    def mean(self, X: IntArray) -> FloatArray:
        return np.asarray(self.space.count_workloads(X) @ np.array(self.weights))


def problem(limit: float | None = None) -> Problem:
    rng = np.random.default_rng(7)
    n = len(SPACE.workloads)
    worth, cost = (Weighted(SPACE, tuple(rng.uniform(0.1, 1, n))) for _ in range(2))
    both = Objective("accuracy", "", "max", worth), Objective("latency", "ms", "min", cost)
    return Problem(SPACE, both, () if limit is None else (Constraint(both[1], limit),))


def search(seed: int, generations: int = 20, limit: float | None = None) -> ParetoFront:
    asked = problem(limit)
    ref = problem().reference_point(seed=0)
    return nsga2(asked, population=40, generations=generations, seed=seed, ref_point=ref)


def slow_front(F: FloatArray) -> list[int]:
    """Every pair compared."""
    return [
        i
        for i, f in enumerate(F)
        if not any((g <= f).all() and (g < f).any() for g in F)
        and not any((F[j] == f).all() for j in range(i))
    ]


def test_the_exact_front_is_that_of_all_pairs() -> None:
    front = exact_front(problem())
    F, _ = problem().predict(EVERYTHING)
    expected = F[slow_front(F)]
    np.testing.assert_allclose(front.F, expected[np.lexsort(expected.T)])
    assert front.exact
    assert front.n_evaluations == SPACE.size


def test_the_front_of_a_front_is_itself() -> None:
    front = exact_front(problem())
    again = ParetoFront.of(front.X, problem())
    np.testing.assert_array_equal(again.X, front.X)
    np.testing.assert_array_equal(again.F, front.F)


@given(st.lists(st.integers(0, SPACE.size - 1), min_size=1, max_size=30), st.randoms())
def test_a_front_ignores_order_and_duplicates(chosen: list[int], random: Random) -> None:
    shuffled = chosen + chosen[:3]
    random.shuffle(shuffled)
    once, twice = (ParetoFront.of(EVERYTHING[rows], problem()) for rows in (chosen, shuffled))
    np.testing.assert_array_equal(once.X, twice.X)


@given(arrays(np.int64, 6, elements=st.integers(0, SPACE.size - 1)))
def test_one_more_architecture_never_lowers_the_hypervolume(rows: IntArray) -> None:
    ref = np.array([0.0, 100.0])
    volumes = [
        ParetoFront.of(EVERYTHING[rows[:n]], problem()).hypervolume(ref) for n in range(1, 7)
    ]
    assert (np.diff(volumes) >= -1e-9).all()


def test_the_same_seed_gives_the_same_front_and_another_seed_another_search() -> None:
    first, again, other = search(1), search(1), search(2)
    np.testing.assert_array_equal(first.X, again.X)
    assert first.history == again.history
    assert first.history != other.history


def test_nsga2_finds_nearly_all_there_is() -> None:
    ref = problem().reference_point(seed=0)
    whole = exact_front(problem()).hypervolume(ref)
    found = search(0, generations=60)
    assert found.hypervolume(ref) / whole > 0.97
    assert found.hypervolume(ref) == pytest.approx(found.history[-1])
    assert (np.diff(found.history) >= 0).all()
    assert len(found.history) == 60


def test_nsga2_starts_at_the_landmarks_and_repeats_nothing_in_a_generation() -> None:
    batches: list[IntArray] = []

    class Recording(Weighted):
        def mean(self, X: IntArray) -> FloatArray:
            batches.append(X)
            return super().mean(X)

    worth, cost = problem().objectives
    assert isinstance(worth.predictor, Weighted)
    recorded = replace(worth, predictor=Recording(SPACE, worth.predictor.weights))
    ref = problem().reference_point(seed=0)
    asked = Problem(SPACE, (recorded, cost))
    nsga2(asked, population=40, generations=20, seed=3, ref_point=ref)
    generations = batches[:20]
    assert [len(X) for X in generations] == [40] * 20
    for X in generations:
        np.testing.assert_array_equal(SPACE.repair(X), X)
        assert len(np.unique(X, axis=0)) == len(X)
    for landmark in SPACE.landmarks:
        assert (generations[0] == landmark).all(axis=1).any()
    # Crossover alone only recombines; new choices come from mutation.
    first, later = (set(np.unique(np.vstack(g)[:, 1])) for g in (generations[:1], generations[1:]))
    assert len(later - first) > 10


def test_a_limit_on_what_is_maximised_holds() -> None:
    F, _ = problem().predict(EVERYTHING)
    limit = float(np.quantile(-F[:, 0], 0.9))
    limited = replace(problem(), constraints=(Constraint(problem().objectives[0], limit),))
    front = exact_front(limited)
    assert (front.values[:, 0] >= limit).all()
    expected = ParetoFront.of(EVERYTHING[-F[:, 0] >= limit], problem())
    np.testing.assert_array_equal(front.X, expected.X)


def test_the_ends_of_a_front_count() -> None:
    ref = problem().reference_point(seed=0)
    front = exact_front(problem())
    contributions = moocore.hv_contributions(front.F, ref=ref)
    assert contributions[0] > 0
    assert contributions[-1] > 0


def test_limits_hold_for_both_searches() -> None:
    F, _ = problem().predict(EVERYTHING)
    limit = float(np.quantile(F[:, 1], 0.1))
    for front in (search(0, limit=limit), exact_front(problem(limit))):
        assert len(front)
        assert (front.values[:, 1] <= limit).all()
    ref = problem().reference_point(seed=0)
    found = search(0, limit=limit)
    assert found.history[-1] == pytest.approx(found.hypervolume(ref))
    inside = EVERYTHING[F[:, 1] <= limit]
    expected = ParetoFront.of(inside, problem())
    np.testing.assert_array_equal(exact_front(problem(limit)).X, expected.X)


def test_an_impossible_limit_names_the_nearest_miss() -> None:
    F, _ = problem().predict(EVERYTHING)
    with pytest.raises(InfeasibleError, match=r"latency_ms <= 0.001 must hold, but no network"):
        search(0, limit=0.001)
    with pytest.raises(InfeasibleError, match=f"latency_ms = {F[:, 1].min():.4g}"):
        exact_front(problem(0.001))


def test_thinning_keeps_what_contributes_most() -> None:
    front = exact_front(problem())
    ref = problem().reference_point(seed=0)
    thin = front.thinned(5, ref)
    assert len(thin) == 5
    assert len(thin.thinned(9, ref)) == 5
    at_random = np.random.default_rng(0).choice(len(front), 5, replace=False)
    assert thin.hypervolume(ref) >= moocore.hypervolume(front.F[at_random], ref=ref)


def test_a_front_as_a_table_has_natural_values() -> None:
    frame = exact_front(problem()).to_pandas(SPACE)
    assert (frame["accuracy"] > 0).all()
    assert (frame["latency_ms"] > 0).all()
    assert list(frame.columns[:2]) == ["architecture", "kind"]
    assert frame["start"].between(0, 3).all()


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_study_evaluates_nothing_twice_and_survives(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    asked: list[tuple[int, ...]] = []

    def evaluator(X: IntArray) -> FloatArray:
        asked.extend(map(tuple, X))
        if len(asked) == 50:
            raise KeyboardInterrupt
        return np.asarray(X.sum(axis=1), dtype=np.float64)

    X = EVERYTHING[:60]
    with pytest.raises(KeyboardInterrupt):
        Study(url, "a").evaluate(X, evaluator, NoProgress())
    y = Study(url, "a").evaluate(np.vstack([X, X[:5]]), evaluator, NoProgress())
    np.testing.assert_array_equal(y, np.vstack([X, X[:5]]).sum(axis=1))
    assert len(asked) == 60 + 25  # only the batch that was interrupted is asked again
    Study(url, "b").evaluate(X[:1], evaluator, NoProgress())
    assert len(asked) == 86
