import numpy as np
import pytest

from tailorbird import spaces
from tailorbird.predictors import Prediction
from tailorbird.search.algorithms.initial_design import spread_over
from tailorbird.spaces import FloatArray, IntArray

SPACE = spaces.get("digits-resnet", batch=1)


class Widths:
    """Wide blocks cost more, as they do on a device."""

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.zeros(len(X)))

    def mean(self, X: IntArray) -> FloatArray:
        wide = SPACE.count_workloads(X)[:, [4, 5, 6, 7]].toarray()
        return np.asarray(wide @ [1.0, 2.0, 7.0, 27.0])


def shares(X: IntArray) -> np.ndarray:
    cost = np.log(Widths().mean(X))
    return np.histogram(cost, bins=4, range=(np.log(6), np.log(200)))[0] / len(X)


def test_costs_cover_their_range_where_uniform_draws_crowd() -> None:
    chosen = spread_over(Widths(), SPACE, 150, np.random.default_rng(0))
    uniform = SPACE.sample(150, np.random.default_rng(0))
    assert shares(uniform).min() < 0.05
    assert shares(chosen).min() > 0.05


@pytest.mark.parametrize("n", [2, 10, 150])
def test_rows_are_distinct_canonical_and_hold_the_landmarks(n: int) -> None:
    chosen = spread_over(Widths(), SPACE, n, np.random.default_rng(0))
    assert len(chosen) == len(np.unique(chosen, axis=0)) == max(n, 4)
    np.testing.assert_array_equal(SPACE.repair(chosen), chosen)
    for landmark in SPACE.landmarks:
        assert (chosen == landmark).all(axis=1).any()


def test_the_same_seed_chooses_the_same_rows() -> None:
    first, again = (spread_over(Widths(), SPACE, 30, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
