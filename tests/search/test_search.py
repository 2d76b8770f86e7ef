from dataclasses import dataclass, replace
from random import Random

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tailorbird import spaces
from tailorbird.errors import InfeasibleError
from tailorbird.predictors import Prediction
from tailorbird.search import Constraint, Objective, ParetoFront, Problem, exact_front
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

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


def test_limits_hold() -> None:
    F, _ = problem().predict(EVERYTHING)
    limit = float(np.quantile(F[:, 1], 0.1))
    inside = EVERYTHING[F[:, 1] <= limit]
    expected = ParetoFront.of(inside, problem())
    np.testing.assert_array_equal(exact_front(problem(limit)).X, expected.X)


def test_an_impossible_limit_names_the_nearest_miss() -> None:
    F, _ = problem().predict(EVERYTHING)
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
    frame = exact_front(problem()).to_pandas()
    assert (frame["accuracy"] > 0).all()
    assert (frame["latency_ms"] > 0).all()
    assert list(frame.columns[:2]) == ["architecture", "kind"]
    assert frame["start"].between(0, 3).all()
