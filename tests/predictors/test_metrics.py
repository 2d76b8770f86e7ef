"""How good predictions are, on cases whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, rankdata

from tailorbird.predictors import Prediction
from tailorbird.predictors.metrics import (
    bootstrap,
    coverage,
    kendall_tau,
    mape,
    spearman_rho,
    top_k_recall,
)
from tailorbird.spaces import FloatArray

VALUES = st.lists(st.integers(0, 5), min_size=2, max_size=30)


def test_rho_is_the_correlation_of_ranks() -> None:
    a = np.array([1.0, 2.0, 3.0, 4.0])
    assert spearman_rho(a, a**3) == pytest.approx(1)
    assert spearman_rho(a, -a) == pytest.approx(-1)
    swapped = np.array([1.0, 2.0, 4.0, 3.0])
    assert spearman_rho(a, swapped) == pytest.approx(
        1 - 6 * 2 / (4 * 15)
    )  # 1 - 6 sum(d²) / n(n²-1)


@given(values=VALUES, seed=st.integers(0, 2**32 - 1))
def test_rank_correlations_with_ties(values: list[int], seed: int) -> None:
    a = np.array(values, dtype=np.float64)
    b = np.random.default_rng(seed).permutation(a)
    np.testing.assert_allclose(kendall_tau(a, b), kendalltau(a, b, variant="b").statistic)
    if np.ptp(a) == 0:
        assert np.isnan(kendall_tau(a, b))
        assert np.isnan(spearman_rho(a, b))
    else:
        ranks = np.corrcoef(rankdata(a), rankdata(b))[0, 1]
        assert spearman_rho(a, b) == pytest.approx(ranks)


def test_there_is_no_order_of_one() -> None:
    assert np.isnan(spearman_rho(np.ones(1), np.ones(1)))


def test_the_best_are_the_smallest_or_with_their_sign_flipped_the_largest() -> None:
    measured = np.array([5.0, 1.0, 2.0, 4.0, 3.0])
    predicted = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert top_k_recall(measured, measured, 2) == 1.0
    assert top_k_recall(predicted, measured, 2) == 0.5  # 0 and 1 against 1 and 2
    assert top_k_recall(-predicted, -measured, 2) == 0.5  # 4 and 3 against 0 and 3
    assert top_k_recall(predicted, measured, 5) == 1.0


@pytest.mark.parametrize("k", [0, 6])
def test_k_must_be_one_of_them(k: int) -> None:
    with pytest.raises(ValueError, match=f"1 <= k <= 5.*got {k}"):
        top_k_recall(np.ones(5), np.ones(5), k)


def test_a_normal_prediction_covers_what_it_says() -> None:
    rng = np.random.default_rng(0)
    mean, std = rng.uniform(1, 9, 20_000), rng.uniform(0.1, 1, 20_000)
    measured = rng.normal(mean, std)
    prediction = Prediction(mean, std)
    assert coverage(prediction, measured) == pytest.approx(0.9, abs=0.01)
    assert coverage(prediction, measured, 0.5) == pytest.approx(0.5, abs=0.015)
    assert coverage(prediction.widened(0.5), measured) < 0.7


def test_a_bootstrap_interval_holds_the_truth_as_often_as_it_says() -> None:
    """The mean absolute error of normal errors of std 0.1 is 0.1 * sqrt(2 / pi)."""
    truth, held = 0.1 * np.sqrt(2 / np.pi), 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = bootstrap(mape, 1 + rng.normal(0, 0.1, 100), np.ones(100), rng, n=300)
        assert found.low <= found.value <= found.high
        held += found.low <= truth <= found.high
    assert 88 <= held <= 99


def test_a_bootstrap_is_narrower_with_more_architectures_and_at_a_lower_level() -> None:
    rng = np.random.default_rng(1)
    measured = rng.uniform(1, 2, 400)
    predicted = measured + rng.normal(0, 0.2, 400)

    def width(n: int, level: float) -> float:
        rng = np.random.default_rng(2)
        found = bootstrap(kendall_tau, predicted[:n], measured[:n], rng, n=200, level=level)
        assert found.value == kendall_tau(predicted[:n], measured[:n])
        return found.high - found.low

    assert width(400, 0.95) < width(40, 0.95)
    assert width(400, 0.5) < width(400, 0.95)


def test_draws_without_an_order_are_left_out() -> None:
    two = np.array([1.0, 2.0])
    found = bootstrap(kendall_tau, two, two, np.random.default_rng(0))
    assert (found.value, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))

    def never(predicted: FloatArray, measured: FloatArray) -> float:
        return float("nan")

    assert np.isnan(bootstrap(never, two, two, np.random.default_rng(0)).low)
