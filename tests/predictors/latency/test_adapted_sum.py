from dataclasses import replace

import numpy as np
import pytest

from tailorbird import spaces
from tailorbird.errors import MissingWorkloadError
from tailorbird.latency_tables import Configuration, Latency, LatencyTable
from tailorbird.predictors import AdaptedSum, Additive, TableSum
from tailorbird.predictors.counted_costs import WorkloadSum
from tailorbird.predictors.metrics import mape, share_within, spearman_rho
from tailorbird.search import Objective, Problem, exact_front
from tailorbird.search.algorithms.exact.front import enumerated_front
from tailorbird.spaces import CALL, FloatArray, SearchSpace
from tailorbird.spaces.footprint import costs

DEIT, DIGITS = spaces.get("deit-ti-s-b"), spaces.get("digits-resnet", max_stitches=1)


def table(space: SearchSpace, ms: FloatArray, name: str = "a device") -> LatencyTable:
    keys = [*(workload.key for workload in space.workloads), CALL.key]
    entries = {
        key: Latency.stated(max(float(t), 0.001), None)
        for key, t in zip(keys, [*ms, 0.001], strict=True)
    }
    return LatencyTable(name, Configuration.imported(name, 1, 1), entries, {})


def usual_ms(space: SearchSpace) -> FloatArray:
    """Of a device that takes what multiply-adds cost, and a little for every workload."""
    return np.asarray(0.002 + 1e-8 * costs(space.workloads)[:, 0])


def like(space: SearchSpace, rng: np.random.Generator, spread: float = 0.3) -> LatencyTable:
    """A device that is twice as slow, more for some workloads and less for others."""
    return table(space, 2 * usual_ms(space) * rng.lognormal(0, spread, len(space.workloads)))


def timed_ms(truth: TableSum, X: np.ndarray, rng: np.random.Generator) -> FloatArray:
    """No sum predicts whole networks exactly."""
    return np.asarray(1.02 * truth.mean(X) * rng.lognormal(0, 0.02, len(X)))


@pytest.mark.parametrize("space", [DEIT, DIGITS], ids=["11 workloads", "15 workloads"])
def test_ten_networks_and_one_table_tell_the_rest(space: SearchSpace) -> None:
    known = TableSum(space, table(space, usual_ms(space)))
    adapted = AdaptedSum(space, [table(space, usual_ms(space))])
    X = np.unique(space.sample(500, np.random.default_rng(9)), axis=0)
    chosen = adapted.suggest(10)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        truth = TableSum(space, like(space, rng))
        y_ms, truth_ms = timed_ms(truth, chosen, rng), truth.mean(X)
        adapted.fit(chosen, y_ms)
        assert spearman_rho(adapted.mean(X), truth_ms) > 0.97
        assert share_within(adapted.mean(X), truth_ms, 0.1) > 0.95
        low, high = adapted.predict(X).interval(0.9)
        assert np.mean((low <= truth_ms) & (truth_ms <= high)) > 0.7
        factor = np.exp(np.mean(np.log(y_ms / known.mean(chosen))))
        assert mape(adapted.mean(X), truth_ms) < mape(factor * known.mean(X), truth_ms)


def test_one_that_is_only_slower_is_known_from_three_networks() -> None:
    adapted = AdaptedSum(DEIT, [table(DEIT, usual_ms(DEIT))])
    truth = TableSum(DEIT, table(DEIT, 3.7 * usual_ms(DEIT)))
    X = np.vstack(list(DEIT.enumerate()))
    chosen = adapted.suggest(3)
    adapted.fit(chosen, truth.mean(chosen))
    np.testing.assert_allclose(adapted.mean(X), truth.mean(X), rtol=0.02)


def test_the_known_device_that_is_most_alike_counts_most() -> None:
    rng = np.random.default_rng(0)
    others = [like(DIGITS, rng, 0.8) for _ in range(4)]
    scaled = table(
        DIGITS,
        5 * np.array([e.median_ms for e in others[2].select([w.key for w in DIGITS.workloads])]),
    )
    truth = TableSum(DIGITS, scaled)
    X = np.unique(DIGITS.sample(300, rng), axis=0)

    def error(tables: list[LatencyTable]) -> float:
        adapted = AdaptedSum(DIGITS, tables)
        chosen = adapted.suggest(5)
        adapted.fit(chosen, truth.mean(chosen))
        return float(np.abs(adapted.mean(X) / truth.mean(X) - 1).mean())

    assert error(others) < 0.5 * error([one for i, one in enumerate(others) if i != 2])


def test_it_adds_up_so_that_fronts_are_exact_without_enumeration() -> None:
    rng = np.random.default_rng(0)
    adapted = AdaptedSum(DIGITS, [table(DIGITS, usual_ms(DIGITS))])
    chosen = adapted.suggest(10)
    adapted.fit(chosen, timed_ms(TableSum(DIGITS, like(DIGITS, rng)), chosen, rng))
    assert isinstance(adapted, Additive)
    X = np.unique(DIGITS.sample(300, rng), axis=0)
    np.testing.assert_allclose(adapted.mean(X), adapted.predict(X).mean, rtol=1e-9)
    problem = Problem(
        DIGITS,
        (
            Objective("latency", "ms", "min", adapted),
            Objective("mega_params", "", "max", WorkloadSum.mega_params(DIGITS)),
        ),
    )
    by_paths, one_by_one = exact_front(problem), enumerated_front(problem)
    np.testing.assert_allclose(
        np.sort(by_paths.F, axis=0), np.sort(one_by_one.F, axis=0), rtol=1e-9
    )


def test_suggestions_are_the_same_and_go_on_where_fewer_ended() -> None:
    first, second = (AdaptedSum(DIGITS, [table(DIGITS, usual_ms(DIGITS))]) for _ in range(2))
    ten = first.suggest(10)
    assert len(np.unique(ten, axis=0)) == 10
    np.testing.assert_array_equal(second.suggest(4), ten[:4])


def test_tables_that_cannot_be_are_refused() -> None:
    whole = table(DIGITS, usual_ms(DIGITS))
    torn = replace(whole, entries=dict(list(whole.entries.items())[1:]))
    with pytest.raises(MissingWorkloadError):
        AdaptedSum(DIGITS, [whole, torn])
    with pytest.raises(ValueError, match="at least one other device"):
        AdaptedSum(DIGITS, [])
    flat = table(DIGITS, np.full(len(DIGITS.workloads), 0.001), "a flat one")
    with pytest.raises(ValueError, match="take as long on 'a flat one'"):
        AdaptedSum(DIGITS, [whole, flat])
