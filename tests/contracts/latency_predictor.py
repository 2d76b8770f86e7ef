"""What searches rely on in a predictor of latency."""

from collections.abc import Callable

import numpy as np
import pytest
from strategies import distinct_rows

from tailorbird.latency_tables import Configuration, Latency, LatencyTable
from tailorbird.predictors import LatencyInputs, Predictor
from tailorbird.spaces import CALL, FloatArray, IntArray, SearchSpace
from tailorbird.spaces.footprint import costs, count_macs

CONFIGURATION = Configuration("a processor", "x86-64-v3", 1, 1, "fake", "1", "none", "test")
N_SAMPLES = 30


def workload_ms(space: SearchSpace) -> FloatArray:
    """A call and arithmetic at one speed."""
    return np.asarray(0.01 + 1e-7 * costs(space.workloads)[:, 0])


def measured(space: SearchSpace) -> tuple[LatencyInputs, FloatArray]:
    """All that can be measured of a device, and the true latencies of the networks."""
    ms = workload_ms(space)
    entries = {
        workload.key: Latency.of_rounds([np.full(5, t), np.full(5, 1.01 * t)])
        for workload, t in zip((*space.workloads, CALL), (*ms, 0.005), strict=True)
    }
    X = distinct_rows(space, N_SAMPLES)
    y_ms = network_ms(space, X)
    table = LatencyTable("my board", CONFIGURATION, entries, {})
    return LatencyInputs(space, table, X, y_ms, 0.01 * y_ms), y_ms


def network_ms(space: SearchSpace, X: IntArray) -> FloatArray:
    if not space.workloads:
        return np.asarray(0.01 + 1e-3 * count_macs(space, X))
    counts = space.count_workloads(X)
    return np.asarray(counts @ workload_ms(space) - 0.005 * (counts.sum(axis=1) - 1), float)


class LatencyPredictorContract:
    """Needs fixtures `space` and `make`."""

    @pytest.fixture
    def space(self) -> SearchSpace:
        raise NotImplementedError

    @pytest.fixture
    def make(self) -> Callable[[LatencyInputs], Predictor]:
        raise NotImplementedError

    def test_it_predicts_positive_latencies(
        self, space: SearchSpace, make: Callable[[LatencyInputs], Predictor]
    ) -> None:
        predictor = make(measured(space)[0])
        X = space.sample(50, np.random.default_rng(5))
        predicted = predictor.predict(X)
        assert predicted.mean.shape == predicted.std.shape == (50,)
        assert (predicted.mean > 0).all()
        assert (predicted.std > 0).all()
        np.testing.assert_allclose(predictor.mean(X), predicted.mean, rtol=1e-9)
        np.testing.assert_allclose(predictor.predict(X[::-1]).mean, predicted.mean[::-1])
        np.testing.assert_allclose(predictor.predict(X[::-1]).std, predicted.std[::-1])

    def test_it_ranks_networks_as_the_device_does(
        self, space: SearchSpace, make: Callable[[LatencyInputs], Predictor]
    ) -> None:
        X = space.sample(50, np.random.default_rng(6))
        predicted = make(measured(space)[0]).mean(X)
        truth = network_ms(space, X)
        assert np.corrcoef(predicted, truth)[0, 1] > 0.6
        assert np.median(np.abs(predicted / truth - 1)) < 0.5
