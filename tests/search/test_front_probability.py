import time
from dataclasses import dataclass, replace

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from tailorbird import spaces
from tailorbird.predictors import Prediction
from tailorbird.search import Constraint, Objective, Problem, exact_front
from tailorbird.search.front_probability import Draws, draw, membership, with_probability
from tailorbird.spaces import FloatArray, IntArray

SPACE = spaces.get("digits-resnet", max_stitches=1)
EVERYTHING = np.vstack(list(SPACE.enumerate()))


@dataclass(frozen=True)
class Weighted:
    """Adds up a weight per workload."""

    weights: tuple[float, ...]
    spread: float

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.full(len(X), self.spread))

    def mean(self, X: IntArray) -> FloatArray:
        return np.asarray(SPACE.count_workloads(X) @ np.array(self.weights))


def problem(spread: float) -> Problem:
    rng = np.random.default_rng(7)
    n = len(SPACE.workloads)
    worth, cost = (Weighted(tuple(rng.uniform(0.1, 1, n)), spread) for _ in range(2))
    return Problem(
        SPACE,
        (Objective("accuracy", "", "max", worth), Objective("latency", "ms", "min", cost)),
    )


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("gap", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("spreads", [(1.0, 1.0), (0.3, 2.0), (0.0, 1.0)])
def test_of_two_networks_the_better_wins_as_often_as_normals_do(
    gap: float, spreads: tuple[float, float]
) -> None:
    std = np.array(spreads)[:, None]
    probability = membership(np.array([[0.0], [gap]]), std, n_draws=20_000, rng=rng())
    first = norm.cdf(gap / np.hypot(*spreads))  # P(X1 < X2)
    np.testing.assert_allclose(probability, [first, 1 - first], atol=0.012)


def test_of_two_equal_networks_each_is_dominated_once_in_four_times() -> None:
    """In two objectives, independently: it must lose in both."""
    probability = membership(np.zeros((2, 2)), np.ones((2, 2)), n_draws=20_000, rng=rng())
    np.testing.assert_allclose(probability, 0.75, atol=0.012)


def test_networks_far_apart_are_sure() -> None:
    F = np.array([[0.0, 9.0], [9.0, 0.0], [20.0, 20.0]])
    std = np.full((3, 2), 0.5)
    np.testing.assert_array_equal(membership(F, std, n_draws=500, rng=rng()), [1.0, 1.0, 0.0])


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 30), m=st.integers(1, 4))
def test_what_is_sure_is_on_the_front_or_not_in_any_order(seed: int, n: int, m: int) -> None:
    own = np.random.default_rng(seed)
    F = own.integers(4, size=(n, m)).astype(np.float64)  # many ties: equals share the front
    expected = [not any((g <= f).all() and (g < f).any() for g in F) for f in F]
    order = own.permutation(n)
    for rows in (np.arange(n), order):
        probability = membership(F[rows], np.zeros((n, m)), n_draws=3, rng=own)
        np.testing.assert_array_equal(probability, np.array(expected, dtype=float)[rows])


def test_the_order_of_networks_plays_no_part() -> None:
    F, std = rng().random((12, 2)), rng().uniform(0.05, 0.3, (12, 2))
    once = membership(F, std, n_draws=20_000, rng=rng())
    again = membership(F[::-1], std[::-1], n_draws=20_000, rng=rng())
    np.testing.assert_allclose(once, again[::-1], atol=0.02)
    assert once.min() < 0.3 < 0.7 < once.max()


def test_what_breaks_a_limit_is_neither_on_the_front_nor_in_the_way() -> None:
    F = np.array([[0.0], [1.0]])
    std = np.array([[1.0], [0.0]])
    limits = np.array([2.0])
    assert membership(F, std, n_draws=20_000, rng=rng(), limits=limits) == pytest.approx(
        [norm.cdf(1.0), 1 - norm.cdf(1.0)], abs=0.012
    )
    none = membership(F, 0 * std, n_draws=5, rng=rng(), limits=np.array([-1.0]))
    np.testing.assert_array_equal(none, [0.0, 0.0])
    only_the_second = membership(
        np.array([[0.0, 5.0], [1.0, 6.0]]),
        np.zeros((2, 2)),
        n_draws=5,
        rng=rng(),
        limits=np.array([np.inf, 5.5]),
    )
    np.testing.assert_array_equal(only_the_second, [1.0, 0.0])


def test_errors_that_are_shared_leave_the_order_as_it_is() -> None:
    F, std = np.array([[0.0], [0.5]]), np.ones((2, 1))
    for correlation in (0.0, 0.5, 0.9):
        probability = membership(F, std, n_draws=20_000, rng=rng(), correlation=correlation)
        first = norm.cdf(0.5 / np.sqrt(2 * (1 - correlation)))
        np.testing.assert_allclose(probability, [first, 1 - first], atol=0.012)
    drawn = draw(F, std, n_draws=20_000, rng=rng(), correlation=0.5)[:, :, 0]
    assert np.cov(drawn.T).ravel() == pytest.approx([1.0, 0.5, 0.5, 1.0], abs=0.03)
    assert drawn.mean(axis=0) == pytest.approx([0.0, 0.5], abs=0.03)
    sure = membership(F, std, n_draws=50, rng=rng(), correlation=1.0)
    np.testing.assert_array_equal(sure, [1.0, 0.0])


@pytest.mark.parametrize("wrong", [{"correlation": 1.1}, {"n_draws": 0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="0 <= correlation <= 1"):
        draw(np.zeros((1, 1)), np.zeros((1, 1)), **({"n_draws": 1, "rng": rng()} | wrong))  # type: ignore[arg-type]


def test_hypervolume_has_an_interval() -> None:
    """One network, one objective: the volume is the distance to the point, a normal."""
    draws = draw(np.array([[3.0]]), np.array([[0.5]]), n_draws=20_000, rng=rng())
    meets = np.ones((20_000, 1), dtype=bool)
    volume = Draws(draws, meets).hypervolume(np.array([10.0]))
    assert volume.value == pytest.approx(7.0, abs=0.02)
    assert (volume.low, volume.high) == pytest.approx((7 - 0.8224, 7 + 0.8224), abs=0.03)
    half = Draws(draws, draws[:, :, 0] < 3.0).hypervolume(np.array([10.0]))
    assert half.low == 0.0
    assert half.value == pytest.approx(3.5 + 0.5 * norm.pdf(0.0), abs=0.05)


def test_a_sure_front_has_its_own_hypervolume_and_every_member() -> None:
    sure = problem(0.0)
    front = exact_front(sure)
    draws = Draws.of(sure, EVERYTHING, n_draws=3, rng=rng())
    ref_point = sure.reference_point(seed=0)
    volume = draws.hypervolume(ref_point)
    assert volume.value == pytest.approx(front.hypervolume(ref_point))
    assert volume.low == pytest.approx(volume.high)
    likely = with_probability(front, sure, n_draws=3, rng=rng(), rivals=EVERYTHING)
    np.testing.assert_array_equal(likely.probability, np.ones(len(front)))
    np.testing.assert_array_equal(likely.X, front.X)


def test_rivals_make_members_less_sure_but_the_front_is_no_rival_of_itself() -> None:
    unsure = problem(0.3)
    front = exact_front(unsure)
    alone, with_itself, with_all = (
        with_probability(front, unsure, n_draws=2000, rng=rng(), rivals=rivals).probability
        for rivals in (None, front.X, EVERYTHING)
    )
    assert alone is not None
    assert with_itself is not None
    assert with_all is not None
    np.testing.assert_array_equal(alone, with_itself)
    assert with_all.mean() < alone.mean() - 0.03
    assert 0.0 < with_all.min() < with_all.max() <= 1.0


def test_limits_on_what_is_and_what_is_no_objective_hold_in_every_world() -> None:
    unsure = problem(0.3)
    worth, cost = unsure.objectives
    third = Objective("memory", "mib", "min", replace(cost.predictor, spread=0.2))  # type: ignore[type-var]
    floor = Constraint(worth, float(np.median(worth.predictor.mean(EVERYTHING))))
    ceiling = Constraint(third, float(np.median(cost.predictor.mean(EVERYTHING))))
    for constraint, spread in ((floor, 0.3), (ceiling, 0.2)):
        limited = replace(unsure, constraints=(constraint,))
        draws = Draws.of(limited, EVERYTHING, n_draws=4000, rng=rng())
        value = constraint.objective.predictor.mean(EVERYTHING)
        beyond = constraint.objective.sign * (value - constraint.limit) / spread
        np.testing.assert_allclose(draws.meets.mean(axis=0), norm.cdf(-beyond), atol=0.035)
        assert draws.F.shape == (4000, len(EVERYTHING), 2)
    never = replace(unsure, constraints=(Constraint(cost, -100.0),))
    assert not Draws.of(never, EVERYTHING, n_draws=5, rng=rng()).membership().any()


def test_a_front_keeps_its_probabilities_through_thinning_and_in_its_table() -> None:
    unsure = problem(0.3)
    front = exact_front(unsure)
    assert front.probability is None
    assert "probability_on_front" not in front.to_pandas()
    assert front.thinned(3, unsure.reference_point(0)).probability is None
    likely = with_probability(front, unsure, n_draws=500, rng=rng())
    thin = likely.thinned(3, unsure.reference_point(0))
    assert likely.probability is not None
    assert thin.probability is not None
    for row, probability in zip(thin.X, thin.probability, strict=True):
        where = np.equal(likely.X, row).all(axis=1)
        assert probability == likely.probability[where]
    column = likely.to_pandas()["probability_on_front"]
    np.testing.assert_array_equal(column, likely.probability)


def test_the_same_seed_gives_the_same_probabilities() -> None:
    unsure = problem(0.3)
    front = exact_front(unsure)
    first, again = (
        with_probability(front, unsure, n_draws=50, rng=rng()).probability for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


def test_five_hundred_draws_of_three_hundred_networks_take_less_than_a_second() -> None:
    F = rng().random((300, 2))
    begin = time.perf_counter()
    probability = membership(F, np.full((300, 2), 0.05), n_draws=500, rng=rng())
    assert time.perf_counter() - begin < 1.0  # 0.06 s when the machine is idle
    members = probability[moocore.is_nondominated(F)]
    assert members.mean() > probability.mean()
