"""Made-up devices: what they cost, and what they are good for."""

import numpy as np
from scipy.stats import spearmanr

from tailorbird import spaces
from tailorbird.latency_tables import Configuration, LatencyTable
from tailorbird.predictors import FewShotLatency
from tailorbird.predictors.latency.made_up_devices import NAMES, made_up_costs, made_up_tables
from tailorbird.predictors.latency.table_sum import TableSum
from tailorbird.spaces import FloatArray
from tailorbird.spaces.footprint import count_macs

SPACE = spaces.get("macro-mobilenetv2")
X = SPACE.sample(400, np.random.default_rng(0))
COSTS = made_up_costs(SPACE, X)
LIKE = LatencyTable("like", Configuration("cpu", "x", 1, 1, "fake", "1", "none", "1"), {}, {})


def test_tables_add_up_to_the_costs_of_networks() -> None:
    tables = made_up_tables(SPACE, LIKE)
    assert tuple(table.device for table in tables) == NAMES
    sums = np.column_stack([TableSum(SPACE, table).mean(X) for table in tables])
    np.testing.assert_allclose(sums, COSTS, rtol=1e-4)


def test_one_takes_as_long_as_there_are_multiply_adds() -> None:
    macs = count_macs(SPACE, X).astype(float)
    np.testing.assert_allclose(COSTS[:, 0] / COSTS[:, 0].mean(), macs / macs.mean(), rtol=1e-3)


def rank(y_ms: FloatArray, pool_ms: FloatArray, costs: FloatArray | None) -> float:
    """Rank correlation of predictions by ten networks, for the others."""
    few_shot = FewShotLatency(X[:300], pool_ms[:300], costs=None if costs is None else costs[:300])
    few_shot.fit(X[300:310], y_ms[300:310])
    return float(spearmanr(few_shot.mean(X[310:]), y_ms[310:]).statistic)


def test_a_device_that_is_bound_by_something_else_than_the_pool_is_ranked() -> None:
    rng = np.random.default_rng(1)
    noise = 1 + 0.02 * rng.standard_normal((len(X), 3))
    # Devices that wait for weights and steps, and one that computes.
    pool_ms = (COSTS[:, [1, 3, 1]] + COSTS[:, [3, 1, 1]]) * noise
    y_ms = COSTS[:, 0] * (1 + 0.02 * rng.standard_normal(len(X)))
    without, with_costs = rank(y_ms, pool_ms, None), rank(y_ms, pool_ms, COSTS)
    assert with_costs > 0.95 > without


def test_a_device_like_the_pool_is_ranked_as_before() -> None:
    rng = np.random.default_rng(2)
    pool_ms = COSTS[:, [0]] * (1 + 0.02 * rng.standard_normal((len(X), 3)))
    y_ms = COSTS[:, 0] * (1 + 0.02 * rng.standard_normal(len(X)))
    assert rank(y_ms, pool_ms, COSTS) > rank(y_ms, pool_ms, None) - 0.01
