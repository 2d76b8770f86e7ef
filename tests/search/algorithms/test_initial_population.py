from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailorbird import spaces
from tailorbird.predictors import Prediction
from tailorbird.search import Constraint, Objective, Problem
from tailorbird.search.algorithms.initial_population import feasible_start
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.path_sum import adder
from tailorbird.spaces.stitching import StitchSpace

SPACE = spaces.get("digits-resnet")
EVERYTHING = np.vstack(list(SPACE.enumerate()))


@dataclass(frozen=True)
class Cost:
    """Adds up a number per workload."""

    space: SearchSpace
    seed: int = 0

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.zeros(len(X)))

    def mean(self, X: IntArray) -> FloatArray:
        rng = np.random.default_rng(self.seed)
        return adder(self.space, rng.uniform(0.1, 1, len(self.space.workloads)))(X)


def limited(space: SearchSpace, limit: float, seed: int = 0) -> Problem:
    cost = Objective("cost", "", "min", Cost(space, seed))
    return Problem(space, (cost,), (Constraint(cost, limit),))


def is_distinct_and_canonical(space: SearchSpace, X: IntArray) -> bool:
    return len(np.unique(X, axis=0)) == len(X) and bool((space.repair(X) == X).all())


@settings(max_examples=30)
@given(st.floats(0.0, 1.0), st.integers(0, 9))
def test_all_meet_the_limit(share: float, seed: int) -> None:
    cost = Cost(SPACE, seed).mean(EVERYTHING)
    limit = float(np.quantile(cost, share))
    X = feasible_start(limited(SPACE, limit, seed), 30, np.random.default_rng(seed))
    assert 1 <= len(X) <= 30
    assert (Cost(SPACE, seed).mean(X) <= limit).all()
    assert is_distinct_and_canonical(SPACE, X)
    # At least half of what there is, if it is less than wanted.
    assert len(X) >= min(30, np.count_nonzero(cost <= limit) / 2)


def test_without_limits_landmarks_come_first() -> None:
    problem = Problem(SPACE, (Objective("cost", "", "min", Cost(SPACE)),))
    X = feasible_start(problem, 50, np.random.default_rng(0))
    assert len(X) == 50
    np.testing.assert_array_equal(X[: len(SPACE.landmarks)], SPACE.landmarks)
    assert is_distinct_and_canonical(SPACE, X)
    again = feasible_start(problem, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(again, X)


def test_landmarks_that_meet_a_limit_are_in() -> None:
    cost = Cost(SPACE).mean(SPACE.landmarks)
    X = feasible_start(limited(SPACE, float(np.median(cost))), 50, np.random.default_rng(0))
    held = (SPACE.landmarks[:, None] == X).all(axis=2).any(axis=1)
    np.testing.assert_array_equal(held, cost <= np.median(cost))


def test_steps_find_what_no_draw_would() -> None:
    space = spaces.get("ofa-mobilenetv3")
    drawn = Cost(space).mean(space.sample(20_000, np.random.default_rng(1)))
    limit = float(drawn.min() - 0.2 * (np.median(drawn) - drawn.min()))
    problem = limited(space, limit)
    assert (problem.violation(space.landmarks, problem.minimised(space.landmarks)) > 0)[1:].all()
    X = feasible_start(problem, 40, np.random.default_rng(0))
    assert len(X) == 40
    assert (Cost(space).mean(X) <= limit).all()


def test_of_an_impossible_limit_the_nearest_are_given() -> None:
    X = feasible_start(limited(SPACE, 1e-3), 20, np.random.default_rng(0))
    assert len(X) == 20
    cost = Cost(SPACE).mean(EVERYTHING)
    assert Cost(SPACE).mean(X).min() == pytest.approx(cost.min())
    assert Cost(SPACE).mean(X).max() <= np.quantile(cost, 0.02)


@pytest.mark.parametrize("limit", [1e9, 0.0])
def test_a_space_with_fewer_networks_is_given_whole(
    deit_like_space: StitchSpace, limit: float
) -> None:
    X = feasible_start(limited(deit_like_space, limit), 200, np.random.default_rng(0))
    assert len(X) == deit_like_space.size == 71
    assert is_distinct_and_canonical(deit_like_space, X)
