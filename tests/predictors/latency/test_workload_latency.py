"""Workloads that were never measured, from others; tables and sums that hold such predictions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tailorbird import spaces
from tailorbird.errors import MissingWorkloadError, TooFewNeighboursError
from tailorbird.latency_tables import Configuration, Latency, LatencyTable
from tailorbird.latency_tables.tables.table import Covariance
from tailorbird.predictors import TableSum, WorkloadLatency, complete
from tailorbird.predictors.latency.workload_similarity import WorkloadSimilarity
from tailorbird.predictors.metrics import coverage
from tailorbird.spaces import FloatArray, Workload
from tailorbird.spaces.footprint import costs

SPACE = spaces.get("ofa-mobilenetv3")
BLOCKS = tuple(workload for workload in SPACE.workloads if workload.op == "mb_block")
IMPORTED = Configuration.imported("my board", 1, 1)


def power_law(workloads: Sequence[Workload]) -> FloatArray:
    return np.asarray(2e-7 * (1 + costs(workloads)[:, 0]) ** 0.9)


def rough(workloads: Sequence[Workload], seed: int, spread: float = 0.05) -> FloatArray:
    rng = np.random.default_rng(seed)
    return power_law(workloads) * np.exp(rng.normal(0, spread, len(workloads)))


def half(seed: int) -> tuple[list[Workload], list[Workload]]:
    order = np.random.default_rng(seed).permutation(len(BLOCKS))
    known, hidden = np.split(order, [len(BLOCKS) // 2])
    return [BLOCKS[i] for i in known], [BLOCKS[i] for i in hidden]


def table_without(keys: set[str], ms: FloatArray | None = None) -> LatencyTable:
    values = power_law(SPACE.workloads) if ms is None else ms
    entries = {
        workload.key: Latency.stated(float(value), 0.01 * float(value))
        for workload, value in zip(SPACE.workloads, values, strict=True)
        if workload.key not in keys
    }
    return LatencyTable("my board", IMPORTED, entries, {})


HIDDEN = {workload.key for workload in half(0)[1]}
TABLE = table_without(HIDDEN)
COMPLETED = complete(SPACE, TABLE)


def test_a_power_law_of_multiply_adds_is_found() -> None:
    known, hidden = half(0)
    predicted = WorkloadLatency().fit(known, power_law(known)).predict(hidden)
    np.testing.assert_allclose(predicted.mean, power_law(hidden), rtol=0.01)
    assert (predicted.std < 0.02 * predicted.mean).all()
    assert (predicted.std > 0).all()


def test_the_order_of_workloads_changes_nothing() -> None:
    known, hidden = half(1)
    ms = rough(known, 1)
    order = np.random.default_rng(2).permutation(len(known))
    one = WorkloadLatency().fit(known, ms).predict(hidden)
    other = WorkloadLatency().fit([known[i] for i in order], ms[order]).predict(hidden[::-1])
    np.testing.assert_allclose(one.mean, other.mean[::-1], rtol=1e-9)
    np.testing.assert_allclose(one.std, other.std[::-1], rtol=1e-9)


def test_intervals_hold_workloads_and_sums_of_them() -> None:
    covered, of_sums = [], []
    for seed in range(8):
        known, hidden = half(seed)
        ms = rough(BLOCKS, seed, 0.08)
        by_key = {workload.key: one for workload, one in zip(BLOCKS, ms, strict=True)}
        fitted = WorkloadLatency().fit(known, np.array([by_key[w.key] for w in known]))
        predicted, covariance = fitted.joint(hidden)
        truth = np.array([by_key[w.key] for w in hidden])
        assert (predicted.mean > 0).all()
        covered.append(coverage(predicted, truth))
        counts = np.random.default_rng(seed).integers(0, 2, (200, len(hidden)))
        std = np.sqrt(np.einsum("ni,ij,nj->n", counts, covariance, counts))
        of_sums.append(np.mean(np.abs(counts @ (predicted.mean - truth)) < 1.645 * std))
        assert np.linalg.eigvalsh(covariance).min() > 0
    assert 0.84 < np.mean(covered) < 0.97
    assert np.mean(of_sums) > 0.75


def test_what_is_unlike_anything_measured_is_positive_and_uncertain() -> None:
    known, _ = half(0)
    far = [w for w in spaces.get("ofa-mobilenetv3", resolution=96).workloads if w.op == "mb_block"]
    fitted = WorkloadLatency().fit(known, rough(known, 0))
    near, away = fitted.predict(BLOCKS), fitted.predict(far)
    assert (away.mean > 0).all()
    assert np.median(away.std / away.mean) > np.median(near.std / near.mean)


def test_bad_latencies_are_refused() -> None:
    known, hidden = half(0)
    ms = power_law(known)
    with pytest.raises(ValueError, match="At least 5 samples"):
        WorkloadLatency().fit(known[:4], ms[:4])
    with pytest.raises(ValueError, match="equal n"):
        WorkloadLatency().fit(known, ms[:-1])
    with pytest.raises(ValueError, match="must be finite"):
        WorkloadLatency().fit(known, np.where(np.arange(len(ms)) == 2, np.inf, ms))
    with pytest.raises(ValueError, match="positive, but got -1"):
        WorkloadLatency().fit(known, np.where(np.arange(len(ms)) == 2, -1.0, ms))
    with pytest.raises(ValueError, match="must vary"):
        WorkloadLatency().fit(known, np.ones(len(ms)))
    with pytest.raises(ValueError, match="is there twice"):
        WorkloadLatency().fit([*known, known[0]], np.append(ms, 1.0))
    with pytest.raises(
        TooFewNeighboursError, match="of 'first_conv' only 0 are, and 1 are missing"
    ):
        WorkloadLatency().fit(known, ms).predict([hidden[0], SPACE.workloads[0]])


def test_coordinates_are_scaled_and_what_never_differed_stays_comparable() -> None:
    likeness = WorkloadSimilarity(BLOCKS)
    points = likeness.points(BLOCKS)
    assert np.mean(np.sum(points**2, axis=1)) <= 1.0
    batch = spaces.get("ofa-mobilenetv3", batch=4).workloads[1]
    moved = np.linalg.norm(likeness.points([batch]) - likeness.points([SPACE.workloads[1]]))
    assert moved > 0.1


def test_what_was_measured_stays_and_what_was_not_is_marked() -> None:
    assert COMPLETED.entries.keys() == {workload.key for workload in SPACE.workloads}
    for key, latency in TABLE.entries.items():
        assert COMPLETED.entries[key] is latency
    for key in HIDDEN:
        latency = COMPLETED.entries[key]
        assert latency.is_predicted
        assert not latency.is_trusted
        assert latency.doubts == ("predicted from 45 neighbours, never measured",)
        assert latency.n_samples == 0
        assert latency.spread == latency.std_ms / latency.median_ms
    assert not any(latency.is_predicted for latency in TABLE.entries.values())
    assert COMPLETED.share_trusted == len(TABLE.entries) / len(COMPLETED.entries)
    assert len(BLOCKS) == 91


def test_a_table_that_lacks_nothing_stays_as_it_is() -> None:
    assert complete(SPACE, COMPLETED) is COMPLETED


def test_predictions_are_no_neighbours() -> None:
    one = next(iter(HIDDEN))
    entries = {key: value for key, value in COMPLETED.entries.items() if key != one}
    again = complete(SPACE, replace(COMPLETED, entries=entries))
    assert again.entries[one].n_neighbours == 45


def test_what_failed_is_not_guessed() -> None:
    failed = next(iter(HIDDEN))
    table = complete(SPACE, replace(TABLE, failures={failed: "it crashed"}))
    assert failed not in table.entries
    with pytest.raises(MissingWorkloadError, match=r"1 of 95"):
        TableSum(SPACE, table)


def test_the_empty_program_is_not_guessed() -> None:
    measured = replace(COMPLETED, configuration=replace(IMPORTED, runtime="tvm"))
    with pytest.raises(MissingWorkloadError, match=r"\(first: call"):
        TableSum(SPACE, measured)


def test_too_few_neighbours_are_an_error_that_names_the_op() -> None:
    first = SPACE.workloads[0]
    with pytest.raises(TooFewNeighboursError) as caught:
        complete(SPACE, table_without({first.key}))
    assert caught.value.op == "first_conv"
    assert caught.value.missing == (first.key,)
    assert (caught.value.n_measured, caught.value.n_needed) == (0, 5)
    assert "tailorbird table import RECIPE FILE" in str(caught.value)


def test_rows_of_other_spaces_may_be_neighbours() -> None:
    first = SPACE.workloads[0]
    others = [spaces.get("ofa-mobilenetv3", resolution=r).workloads[0] for r in range(96, 224, 16)]
    table = table_without({first.key})
    stated = {
        w.key: Latency.stated(t, None) for w, t in zip(others, power_law(others), strict=True)
    }
    table = replace(table, entries={**table.entries, **stated})
    found = complete(SPACE, table, also=others).entries[first.key]
    assert found.n_neighbours == len(others)
    assert found.median_ms == pytest.approx(power_law([first])[0], rel=0.02)


def test_a_sum_has_all_of_the_uncertainty_of_its_predictions() -> None:
    ms = rough(SPACE.workloads, 3)
    table = complete(SPACE, table_without(HIDDEN, ms))
    assert table.covariance is not None
    predictor = TableSum(SPACE, table)
    X = SPACE.sample(30, np.random.default_rng(0))
    counts = SPACE.count_workloads(X).toarray()
    keys = [workload.key for workload in SPACE.workloads]
    variance = np.zeros(30)
    for i, key in enumerate(keys):
        if key not in HIDDEN:
            variance += (counts[:, i] * table.entries[key].std_ms) ** 2
    for i, one in enumerate(table.covariance.keys):
        for j, other in enumerate(table.covariance.keys):
            pair = counts[:, keys.index(one)] * counts[:, keys.index(other)]
            variance += pair * table.covariance.ms2[i, j]
    np.testing.assert_allclose(predictor.predict(X).std, np.sqrt(variance))
    predicted_ms = [table.entries[k].median_ms if k in HIDDEN else 0.0 for k in keys]
    shares = counts @ predicted_ms / predictor.mean(X)
    np.testing.assert_allclose(predictor.predicted_share(X), shares)
    assert (shares > 0).all()
    np.testing.assert_array_equal(TableSum(SPACE, table_without(set())).predicted_share(X), 0.0)


def test_predictions_without_a_covariance_count_on_their_own() -> None:
    X = SPACE.sample(10, np.random.default_rng(0))
    alone = TableSum(SPACE, replace(COMPLETED, covariance=None))
    counts = SPACE.count_workloads(X).toarray()
    std_ms = np.array([COMPLETED.entries[w.key].std_ms for w in SPACE.workloads])
    np.testing.assert_allclose(alone.predict(X).std, np.sqrt(counts**2 @ std_ms**2))


def test_a_covariance_has_a_row_for_each_key() -> None:
    with pytest.raises(ValueError, match=r"ms2.shape=\(1, 2\)"):
        Covariance(("a",), np.ones((1, 2)))


def test_words_among_parameters_keep_workloads_apart() -> None:
    relu, gelu = (
        Workload("op", (("width", 4), ("act", act)), ((1, 4),), "torch.nn:Identity")
        for act in ("relu", "gelu")
    )
    one, other = WorkloadSimilarity([relu, gelu]).points([relu, gelu])
    assert (one != other).any()
