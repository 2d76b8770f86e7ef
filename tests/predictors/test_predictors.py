import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tailorbird import spaces
from tailorbird.errors import MissingWorkloadError
from tailorbird.latency_tables import Configuration, Latency, LatencyTable
from tailorbird.predictors import (
    AccuracyPredictor,
    CalibratedSum,
    KnownAccuracy,
    Prediction,
    Predictor,
    TableSum,
)
from tailorbird.predictors.metrics import kendall_tau, mape, share_within, tau_within_bands
from tailorbird.spaces import CALL
from tailorbird.spaces.stitching import StitchSpace

CONFIGURATION = Configuration("a processor", "x86-64-v3", 1, 2, "fake", "1", "none", "test")


def table_of(space: StitchSpace, without: int | None = None) -> LatencyTable:
    rng = np.random.default_rng(0)
    shorter = {CALL: 0.1}
    entries = {
        w.key: Latency.of_rounds([shorter.get(w, 1.0) * rng.uniform(1, 2, 5) for _ in range(2)])
        for i, w in enumerate((*space.workloads, CALL))
        if i != without
    }
    return LatencyTable("my board", CONFIGURATION, entries, {})


def test_a_sum_counts_every_workload_and_the_call_once(digits_space: StitchSpace) -> None:
    table = table_of(digits_space)
    X = digits_space.sample(20, np.random.default_rng(0))
    predicted = TableSum(digits_space, table).predict(X)
    call = table.entries[CALL.key]
    for row, mean, std in zip(X, predicted.mean, predicted.std, strict=True):
        parts = [piece.workload.key for piece in digits_space.route(row)]
        slow = call.median_ms + sum(table.entries[k].median_ms - call.median_ms for k in parts)
        assert mean == pytest.approx(slow)
        variance = ((1 - len(parts)) * call.std_ms) ** 2
        for key in set(parts):
            variance += (parts.count(key) * table.entries[key].std_ms) ** 2
        assert std == pytest.approx(variance**0.5)


@pytest.mark.parametrize("gone", [3, 15])
def test_a_missing_workload_is_never_zero(digits_space: StitchSpace, gone: int) -> None:
    with pytest.raises(MissingWorkloadError, match=r"1 of 16 workloads.*tailorbird profile"):
        TableSum(digits_space, table_of(digits_space, without=gone))


def test_predictions_ignore_the_order_of_a_batch(digits_space: StitchSpace) -> None:
    X = digits_space.sample(40, np.random.default_rng(0))
    y = np.random.default_rng(1).uniform(0.8, 1.0, 40)
    for predictor in (
        TableSum(digits_space, table_of(digits_space)),
        AccuracyPredictor(digits_space, n_images=600).fit(X, y),
    ):
        forth, back = predictor.predict(X), predictor.predict(X[::-1])
        np.testing.assert_allclose(forth.mean, back.mean[::-1])
        np.testing.assert_allclose(forth.std, back.std[::-1])


def predictors(space: StitchSpace) -> list[Predictor]:
    """One of each kind."""
    X = space.sample(40, np.random.default_rng(0))
    y = np.random.default_rng(1).uniform(0.8, 1.0, 40)
    plain = TableSum(space, table_of(space))
    process = AccuracyPredictor(space, n_images=600).fit(X, y)
    return [
        plain,
        CalibratedSum(plain).fit(X, 1.1 * plain.mean(X), 0.01 * y),
        process,
        KnownAccuracy(space.landmarks, y[:4], 0.01 * y[:4], process),
    ]


SPACE = spaces.get("digits-resnet", batch=2)
assert isinstance(SPACE, StitchSpace)
PREDICTORS = predictors(SPACE)


@pytest.mark.parametrize("predictor", PREDICTORS, ids=lambda one: type(one).__name__)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60))
def test_means_alone_are_those_of_predictions(predictor: Predictor, seed: int, n: int) -> None:
    X = np.vstack([SPACE.sample(n, np.random.default_rng(seed)), SPACE.landmarks[:3]])
    np.testing.assert_allclose(predictor.mean(X), predictor.predict(X).mean, rtol=1e-9)


def test_a_corrected_sum_is_that_of_its_corrected_parts(digits_space: StitchSpace) -> None:
    plain, fitted, *_ = predictors(digits_space)
    assert isinstance(plain, TableSum)
    assert isinstance(fitted, CalibratedSum)
    X = digits_space.sample(50, np.random.default_rng(2))
    slow = plain.mean(X) + plain.parts_ms(X) @ fitted.correction_
    np.testing.assert_allclose(fitted.mean(X), slow, rtol=1e-9)


def test_accuracy_is_learned_and_its_error_bars_hold(digits_space: StitchSpace) -> None:
    """Truth: each anchor's share of the route has a worth; a set of images shifts all alike."""
    covered = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = digits_space.sample(300, rng)
        wide = digits_space.count_workloads(X)[:, [4, 5, 6, 7]].toarray()
        truth = 0.93 + wide @ [-0.01, 0.0, 0.002, 0.005]
        images = rng.normal(0, np.sqrt(0.93 * 0.07 / 600))
        y = truth + images + rng.normal(0, 0.004, 300)
        predicted = (
            AccuracyPredictor(digits_space, n_images=600).fit(X[:150], y[:150]).predict(X[150:])
        )
        assert spearmanr(predicted.mean, truth[150:]).statistic > 0.8
        covered.append(np.abs(predicted.mean - truth[150:]) < 1.645 * predicted.std)
    assert 0.8 < np.mean(covered) < 0.99


def test_a_prediction_is_finite_and_has_an_error_for_each_value() -> None:
    with pytest.raises(ValueError, match="finite"):
        Prediction(np.array([1.0, np.nan]), np.ones(2))
    with pytest.raises(ValueError, match="Shapes must agree"):
        Prediction(np.ones(2), np.ones(3))


def test_metrics_on_cases_that_are_plain() -> None:
    a = np.array([1.0, 2.0, 3.0, 4.0])
    assert kendall_tau(a, a**2) == pytest.approx(1)
    assert kendall_tau(a, -a) == pytest.approx(-1)
    assert kendall_tau(a, np.array([1.0, 2.0, 4.0, 3.0])) == pytest.approx(
        4 / 6
    )  # one of six pairs
    assert mape(np.array([1.1, 1.8]), np.array([1.0, 2.0])) == pytest.approx(0.1)


def test_a_calibrated_sum_learns_what_networks_add(digits_space: StitchSpace) -> None:
    """Truth: blocks of one width cost 6 % more in a network, its stitches 4 % less."""
    plain = TableSum(digits_space, table_of(digits_space))
    truth = np.zeros(len(digits_space.workloads))
    for i, workload in enumerate(digits_space.workloads):
        truth[i] = {"residual_block": 0.06, "stitch": -0.04}.get(workload.op, 0.0)
    rng = np.random.default_rng(3)
    X = digits_space.sample(120, rng)
    y = plain.predict(X).mean + plain.parts_ms(X) @ truth
    y *= rng.normal(1.0, 0.005, len(y))
    fitted = CalibratedSum(plain).fit(X[:25], y[:25], 0.005 * y[:25])
    after, before = fitted.predict(X[25:]), plain.predict(X[25:])
    assert mape(after.mean, y[25:]) < 0.01
    assert mape(after.mean, y[25:]) < 0.6 * mape(before.mean, y[25:])
    z = np.abs(after.mean - y[25:]) / after.std
    assert 0.75 < np.mean(z <= 1.645) <= 1.0  # 90 % of a normal distribution


def test_a_calibrated_sum_leaves_alone_what_it_never_saw(digits_space: StitchSpace) -> None:
    plain = TableSum(digits_space, table_of(digits_space))
    anchors = digits_space.landmarks
    y = 1.05 * plain.predict(anchors[:1]).mean
    fitted = CalibratedSum(plain).fit(anchors[:1], y, 0.01 * y)
    np.testing.assert_allclose(fitted.predict(anchors[1:]).mean, plain.predict(anchors[1:]).mean)
    relative = fitted.predict(anchors)
    assert (relative.std / relative.mean)[0] < (relative.std / relative.mean)[1:].min()


def test_shares_and_bands() -> None:
    measured = np.array([1.0, 1.1, 10.0, 11.0])
    assert share_within(np.array([1.04, 1.2, 10.0, 20.0]), measured, 0.05) == 0.5
    assert tau_within_bands(np.array([2.0, 1.0, 4.0, 3.0]), measured, 0.2) == -1.0
    assert kendall_tau(np.array([2.0, 1.0, 4.0, 3.0]), measured) > 0  # the range alone does that
    assert np.isnan(tau_within_bands(measured[1:3], measured[1:3], 0.2))
    edge = np.array([1.0, 1.4])  # 1.2 plus and minus 17 %
    assert tau_within_bands(edge, edge, 0.2) == 1.0
    assert np.isnan(tau_within_bands(edge, edge, 0.16))


def test_one_network_corrects_no_further_than_the_prior_lets_it(digits_space: StitchSpace) -> None:
    """In closed form: one anchor, all of whose latency is 20 % above its sum."""
    plain = TableSum(digits_space, table_of(digits_space))
    X = digits_space.landmarks[:1]
    sums = plain.predict(X).mean
    y = 1.2 * sums
    shares = plain.parts_ms(X)[0] / y[0]
    gain = 0.05**2 * shares / (0.05**2 * shares @ shares + 0.01**2)
    expected = sums + plain.parts_ms(X) @ (gain * (y - sums) / y)
    fitted = CalibratedSum(plain).fit(X, y, 0.01 * y)
    np.testing.assert_allclose(fitted.predict(X).mean, expected)
