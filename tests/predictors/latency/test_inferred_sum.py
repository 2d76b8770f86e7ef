"""Costs of workloads that were never timed, from networks that were."""

import numpy as np
import pytest

from tailorbird import spaces
from tailorbird.predictors import InferredSum
from tailorbird.predictors.metrics import coverage, mape, spearman_rho
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.footprint import costs
from tailorbird.spaces.layered import graph_of
from tailorbird.spaces.path_sum import PathSum

SPACE = spaces.get("fbnet")
CELLS = spaces.get("nasbench201")


def networks(n: int, seed: int = 0) -> tuple[IntArray, FloatArray]:
    """Rows, and sums of costs that grow with multiply-adds, but not quite as they do."""
    rng = np.random.default_rng(seed)
    macs = costs(SPACE.workloads)[:, 0]
    ms = 0.05 + 3e-8 * macs * rng.uniform(0.8, 1.2, len(macs))
    X = np.unique(SPACE.sample(n, rng), axis=0)[rng.permutation(n)]
    return X, np.asarray(SPACE.count_workloads(X) @ ms + 0.3)


def test_a_sum_is_learned_from_fewer_networks_than_it_has_workloads() -> None:
    X, y_ms = networks(400)
    fitted = InferredSum(SPACE).fit(X[:60], y_ms[:60])
    assert len(SPACE.workloads) == 104
    assert mape(fitted.mean(X[60:]), y_ms[60:]) < 0.01
    assert spearman_rho(fitted.mean(X[60:]), y_ms[60:]) > 0.99
    assert spearman_rho(fitted.workload_ms_, costs(SPACE.workloads)[:, 0].astype(float)) > 0.8


def test_means_alone_are_those_of_predictions() -> None:
    for space, n in ((SPACE, 30), (CELLS, 40)):
        rng = np.random.default_rng(1)
        X = space.sample(2 * n, rng)
        counts = space.count_workloads(X)
        y_ms = np.asarray(counts @ rng.uniform(0.1, 1, counts.shape[1]))
        fitted = InferredSum(space).fit(X[:n], y_ms[:n])
        np.testing.assert_allclose(fitted.mean(X), fitted.predict(X).mean, rtol=1e-9)


@pytest.mark.parametrize("name", ["fbnet", "digits-resnet", "ofa-mobilenetv3"])
def test_what_steps_add_is_the_mean(name: str) -> None:
    space = spaces.get(name)
    X = np.unique(space.sample(60, np.random.default_rng(0)), axis=0)
    y_ms = 1 + np.asarray(space.count_workloads(X) @ np.arange(1.0, len(space.workloads) + 1))
    fitted = InferredSum(space).fit(X, y_ms)
    graph = graph_of(space)
    assert graph is not None
    along = fitted.along(graph)
    fresh = space.sample(50, np.random.default_rng(1))
    np.testing.assert_allclose(along.response(PathSum(graph, along)(fresh)), fitted.mean(fresh))


def test_the_order_of_networks_changes_nothing() -> None:
    X, y_ms = networks(80)
    order = np.random.default_rng(5).permutation(50)
    one = InferredSum(SPACE).fit(X[:50], y_ms[:50]).predict(X[50:])
    other = InferredSum(SPACE).fit(X[order], y_ms[order]).predict(X[50:])
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(one.std, other.std)


def test_a_few_wild_measurements_do_little_harm() -> None:
    X, y_ms = networks(400)
    wild = y_ms.copy()
    wild[:100:20] *= 2.0
    fitted = InferredSum(SPACE).fit(X[:100], wild[:100])
    assert mape(fitted.mean(X[100:]), y_ms[100:]) < 0.02


def test_intervals_hold_what_would_be_measured() -> None:
    covered = []
    for seed in range(6):
        X, y_ms = networks(400, seed)
        y_ms *= np.random.default_rng(seed).normal(1.0, 0.03, len(y_ms))
        predicted = InferredSum(SPACE).fit(X[:80], y_ms[:80]).predict(X[80:])
        covered.append(coverage(predicted, y_ms[80:]))
    assert 0.84 < np.mean(covered) < 0.97


def test_what_nothing_can_be_learned_from_is_refused() -> None:
    X, y_ms = networks(30)
    with pytest.raises(ValueError, match="At least 10 samples are needed, but got 9"):
        InferredSum(SPACE).fit(X[:9], y_ms[:9])
    with pytest.raises(ValueError, match="must be finite"):
        InferredSum(SPACE).fit(X, np.where(np.arange(30) == 3, np.nan, y_ms))
    with pytest.raises(ValueError, match="equal n"):
        InferredSum(SPACE).fit(X, y_ms[:-1])
    with pytest.raises(ValueError, match="`y` must vary"):
        InferredSum(SPACE).fit(X, np.ones(30))
    with pytest.raises(ValueError, match="must be positive, but got -1"):
        InferredSum(SPACE).fit(X, np.where(np.arange(30) == 3, -1.0, y_ms))
    with pytest.raises(ValueError, match="`X` must vary, but all 30 rows are"):
        InferredSum(SPACE).fit(np.repeat(X[:1], 30, axis=0), y_ms)
    with pytest.raises(ValueError, match="must be canonical"):
        InferredSum(CELLS).fit(np.repeat([[3, 0, 0, 1, 0, 0]], 12, axis=0), np.arange(1.0, 13.0))
