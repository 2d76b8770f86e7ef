"""Accuracy that adds up along paths, and what of the other predictors does."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from tailorbird import spaces
from tailorbird.errors import NotFittedError
from tailorbird.latency_tables import Configuration, Latency, LatencyTable
from tailorbird.predictors import Additive, AdditiveAccuracy, TableSum, accuracy_predictor
from tailorbird.predictors.accuracy import log_error
from tailorbird.predictors.accuracy.path_features import PathFeatures
from tailorbird.predictors.metrics import coverage, kendall_tau
from tailorbird.published.data_folder import data_folder
from tailorbird.published.rows import published_rows
from tailorbird.spaces import CALL, FloatArray, IntArray, SearchSpace
from tailorbird.spaces.footprint import costs
from tailorbird.spaces.layered import LayeredGraph
from tailorbird.spaces.path_sum import PathSum, PathValues

SPACES = {
    name: spaces.get(name)
    for name in ("macro-mobilenetv2", "digits-resnet", "deit-ti-s-b", "ofa-mobilenetv3")
}


def graph_of(space: SearchSpace) -> LayeredGraph:
    graph = getattr(space, "graph", None)
    assert isinstance(graph, LayeredGraph)
    return graph


def truth(space: SearchSpace, X: IntArray, noise: float, seed: int) -> FloatArray:
    """Errors to which every choice adds a factor, whatever the space."""
    rng = np.random.default_rng(seed)
    graph = graph_of(space)
    edges = tuple(rng.normal(0, 0.1, len(layer.source)) for layer in graph.layers)
    z = 1.0 + PathSum(graph, PathValues(edges, np.zeros(graph.final.shape[0])))(X)
    return log_error.to_accuracy(np.maximum(z + rng.normal(0, noise, len(X)), 0.0))


def distinct(space: SearchSpace, n: int, seed: int = 0) -> IntArray:
    rng = np.random.default_rng(seed)
    return rng.permutation(np.unique(space.sample(4 * n, rng), axis=0))[:n]


@pytest.fixture(scope="module", params=SPACES)
def fitted(request: pytest.FixtureRequest) -> AdditiveAccuracy:
    space = SPACES[request.param]
    X = distinct(space, 50)
    return AdditiveAccuracy(space).fit(X, truth(space, X, 0.02, 1))


def test_the_mean_is_the_sum_of_shares_step_by_step(fitted: AdditiveAccuracy) -> None:
    graph = graph_of(fitted.space)
    along = fitted.along(graph)
    X = fitted.space.sample(40, np.random.default_rng(2))
    slow = np.empty(len(X))
    for i, row in enumerate(X):
        state, total = 0, 0.0
        for layer, values, choice in zip(graph.layers, along.edges, row, strict=True):
            (edge,) = np.flatnonzero((layer.source == state) & (layer.choice == choice))
            total += values[edge]
            state = layer.target[edge]
        slow[i] = 1 - np.exp(-(total + along.final[state]))
    np.testing.assert_allclose(fitted.mean(X), slow, rtol=1e-12)
    np.testing.assert_array_equal(fitted.mean(X), fitted.predict(X).mean)
    # And it is what the regression says of the features.
    regressed = log_error.to_accuracy(fitted.regressor_.mean(PathFeatures(fitted.space)(X)))
    np.testing.assert_allclose(fitted.mean(X), regressed, rtol=1e-9)


def test_the_response_rises(fitted: AdditiveAccuracy) -> None:
    along = fitted.along(graph_of(fitted.space))
    sums = np.linspace(-1, 8, 10_000)
    assert (np.diff(along.response(sums)) > 0).all()
    assert isinstance(fitted, Additive)


def test_features_by_hand() -> None:
    """Edges with another beside them, their choices, and costs."""
    space = SPACES["ofa-mobilenetv3"]
    of = PathFeatures(space)
    X = space.sample(30, np.random.default_rng(0))
    F = of(X)
    edges, choices, totals = np.split(F, [555, 555 + 135], axis=1)
    assert set(np.unique(edges)) == set(np.unique(choices)) == {0.0, 1.0}
    depths = X[:, ::9]
    n_choices = 5 + 2 * (depths + 2).sum(axis=1)  # depth, then kernel and expansion of each block
    np.testing.assert_array_equal(edges.sum(axis=1), n_choices)
    np.testing.assert_array_equal(choices.sum(axis=1), n_choices)
    of_workloads = costs(space.workloads)
    usual = space.count_workloads(space.sample(1500, np.random.default_rng(0))) @ of_workloads
    expected = (space.count_workloads(X) @ of_workloads) / usual.std(axis=0)
    np.testing.assert_allclose(totals, expected)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("name", SPACES)
def test_features_add_up_with_any_weights(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    of = PathFeatures(SPACES[name])
    X = SPACES[name].sample(20, rng)
    weights = rng.normal(0, 1, (of(X).shape[1],))
    edges, final = of.values(weights)
    add_up = PathSum(of.graph, PathValues(edges, final))
    np.testing.assert_allclose(add_up(X), of(X) @ weights, rtol=1e-9, atol=1e-9)


def test_what_adds_up_is_learned() -> None:
    for name, n, least in (("macro-mobilenetv2", 100, 0.97), ("ofa-mobilenetv3", 300, 0.6)):
        space = SPACES[name]
        X = distinct(space, n + 500)
        y = truth(space, X, 0.0, 3)
        predicted = AdditiveAccuracy(space).fit(X[:n], y[:n]).predict(X[n:])
        assert kendall_tau(predicted.mean, y[n:]) > least
        assert (predicted.std > 0).all()


def test_intervals_hold_what_they_say() -> None:
    space, found = SPACES["macro-mobilenetv2"], []
    X = distinct(space, 3000)
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(len(X))
        y = truth(space, X, 0.05, seed)
        known, rest = order[:60], order[60:]
        predicted = AdditiveAccuracy(space).fit(X[known], y[known]).predict(X[rest])
        found.append(coverage(predicted, y[rest]))
    assert 0.85 < np.mean(found) < 0.97


def test_images_add_their_binomial_error() -> None:
    space = SPACES["macro-mobilenetv2"]
    X = distinct(space, 60)
    y = truth(space, X, 0.02, 0)
    plain, counted = (AdditiveAccuracy(space, n).fit(X, y).predict(X) for n in (None, 10_000))
    p = plain.mean
    expected = np.sqrt(plain.std**2 + p * (1 - p) / 10_000)
    np.testing.assert_allclose(counted.std, expected, rtol=1e-6)


def test_it_is_an_estimator() -> None:
    space = SPACES["macro-mobilenetv2"]
    X = distinct(space, 60)
    y = truth(space, X, 0.02, 0)
    predictor = AdditiveAccuracy(space, 1000)
    for use in (predictor.predict, predictor.mean):
        with pytest.raises(NotFittedError):
            use(X)
    with pytest.raises(NotFittedError):
        predictor.along(graph_of(space))
    assert predictor.fit(X, y) is predictor
    again = clone(predictor)
    assert (again.space.name, again.n_images) == (space.name, 1000)
    np.testing.assert_array_equal(again.fit(X.tolist(), y.tolist()).mean(X), predictor.mean(X))
    assert len(predictor.predict(X[:0]).mean) == len(predictor.mean(X[:0])) == 0
    alone = np.concatenate([predictor.predict(X[[i]]).std for i in range(5)])
    np.testing.assert_allclose(predictor.predict(X).std[:5], alone)


def test_what_cannot_be_learned_from_is_refused() -> None:
    space = SPACES["macro-mobilenetv2"]
    X = distinct(space, 20)
    y = truth(space, X, 0.02, 0)
    predictor = AdditiveAccuracy(space)
    with pytest.raises(ValueError, match="At least 5 samples"):
        predictor.fit(X[:4], y[:4])
    with pytest.raises(ValueError, match="fractions from 0 to 1"):
        predictor.fit(X, 100 * y)
    with pytest.raises(ValueError, match="must be canonical"):
        predictor.fit(X + 7, y)
    with pytest.raises(ValueError, match="must be canonical"):
        predictor.fit(X, y).predict(X + 7)
    cells = spaces.get("nasbench201")
    rows = cells.sample(20, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"a layered space, but nasbench201.* is none"):
        AdditiveAccuracy(cells).fit(rows, y)
    with pytest.raises(ValueError, match=r"Choose another model of accuracy"):
        accuracy_predictor("additive", cells)


def test_it_is_known_by_name() -> None:
    space = SPACES["macro-mobilenetv2"]
    predictor = accuracy_predictor("additive", space, 500)
    assert isinstance(predictor, AdditiveAccuracy)
    assert predictor.n_images == 500
    with pytest.raises(ValueError, match="more features were given"):
        accuracy_predictor("additive", space, extra=lambda X: X[:, :1].astype(float))
    with pytest.raises(ValueError, match=re.escape("did you mean 'additive'?")):
        accuracy_predictor("aditive", space)


def test_a_table_adds_up_along_paths() -> None:
    space = SPACES["digits-resnet"]
    rng = np.random.default_rng(0)
    keys = [workload.key for workload in space.workloads]
    stated = {key: Latency.stated(float(rng.uniform(0.5, 2)), 0.1) for key in keys}
    stated[CALL.key] = Latency.stated(0.1, 0.01)
    configuration = Configuration.imported("a device", threads=1, batch=1)
    table_sum = TableSum(space, LatencyTable("a device", configuration, stated, {}))
    assert isinstance(table_sum, Additive)
    assert table_sum.call_ms > 0
    along = table_sum.along(graph_of(space))
    X = space.sample(200, rng)
    sums = PathSum(graph_of(space), along)(X)
    np.testing.assert_array_equal(along.response(sums), table_sum.mean(X))


def test_what_steps_add_is_finite() -> None:
    with pytest.raises(ValueError, match="must be finite"):
        PathValues((np.array([0.0, np.nan]),), np.zeros(2))


@pytest.mark.data("ofa_mbv3_dynast_acc.parquet")
def test_published_accuracies_are_ranked() -> None:
    space = SPACES["ofa-mobilenetv3"]
    rows = published_rows(space, data_folder())
    y = rows.column("top1") / 100
    found = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(y))
        known, rest = order[:100], order[100:]
        predictor = AdditiveAccuracy(space).fit(rows.X[known], y[known])
        found.append(kendall_tau(predictor.mean(rows.X[rest]), y[rest]))
    assert np.mean(found) > 0.88  # 0.91 over 8 draws
