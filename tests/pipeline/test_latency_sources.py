"""What a recipe's predictors see of its table, and what a report says of it."""

from pathlib import Path

import numpy as np
import pytest

from tailorbird import recipe, spaces
from tailorbird.errors import (
    MissingStepError,
    MissingWorkloadError,
    RecipeError,
    TooFewNeighboursError,
)
from tailorbird.latency_tables import Configuration, Record
from tailorbird.latency_tables.devices import device
from tailorbird.latency_tables.formats.imported import Stated, record_of
from tailorbird.pipeline.database import RunDatabase
from tailorbird.pipeline.latency_sources.imported import ImportedLatency
from tailorbird.pipeline.latency_sources.measured import MeasuredLatency
from tailorbird.pipeline.latency_sources.source import LatencySource
from tailorbird.pipeline.latency_sources.tabulated import TabulatedLatency
from tailorbird.predictors import TableSum
from tailorbird.recipe import LatencySection
from tailorbird.spaces.footprint import costs

SPACE = spaces.get("macro-mobilenetv2")
BLOCKS = tuple(workload for workload in SPACE.workloads if workload.op == "mb_block")
CONFIGURATION = Configuration.imported("my board", 1, 1)
RECIPE = """
name = "half"
[space]
name = "macro-mobilenetv2"
[device]
name = "my board"
[latency]
runtime = "imported"
"""


def record(*without: str) -> Record:
    """One that lacks some workloads."""
    ms = 0.01 + 1e-8 * costs(SPACE.workloads)[:, 0]
    stated = [
        Stated(workload.key, float(t), 0.01 * float(t), 2)
        for workload, t in zip(SPACE.workloads, ms, strict=True)
        if workload.key not in without
    ]
    return record_of(stated, {"file": "t.csv", "sha256": "0"}, CONFIGURATION, SPACE.name)


def imported(folder: Path, latency: str = "") -> ImportedLatency:
    path = folder / "recipe.toml"
    path.write_text(RECIPE + latency)
    board = device.others("my board", 1)
    return ImportedLatency(recipe.load(path)[0], folder, SPACE, board, RunDatabase(None, folder))


def tabulated(of: Record, *, estimate_missing: bool = False) -> TabulatedLatency:
    asked = LatencySection(estimate_missing=estimate_missing)
    return TabulatedLatency(SPACE, device.others("my board", 1), of, asked, Path())


def table_sum(of: LatencySource) -> TableSum:
    latency = of.predictor()
    assert isinstance(latency, TableSum)
    return latency


ESTIMATE = "estimate_missing = true\n"
MISSING = (BLOCKS[1].key, BLOCKS[5].key)


def test_a_missing_workload_is_an_error_unless_it_is_to_be_estimated(tmp_path: Path) -> None:
    plain = imported(tmp_path)
    plain.add(record(*MISSING))
    with pytest.raises(RecipeError, match=r"2 of \d+ workloads.*estimate_missing = true"):
        plain.predictor()
    assert plain.n_estimated() == 0
    assert not any("estimated" in remark for remark in plain.remarks())


def test_estimates_reach_predictions_and_the_remarks_of_a_report(tmp_path: Path) -> None:
    estimating = imported(tmp_path, ESTIMATE)
    estimating.add(record(*MISSING))
    latency = table_sum(estimating)
    assert estimating.n_estimated() == 2
    X = SPACE.sample(20, np.random.default_rng(0))
    macs = SPACE.count_workloads(X) @ costs(SPACE.workloads)[:, 0]
    n_workloads = SPACE.count_workloads(X).sum(axis=1)
    np.testing.assert_allclose(latency.mean(X), 0.01 * n_workloads + 1e-8 * macs, rtol=0.1)
    said = [remark for remark in estimating.remarks() if "estimated" in remark]
    assert said == [
        f"2 of {len(SPACE.workloads)} workloads were never measured: their latencies are estimated "
        "from the others, and the uncertainty of the estimates is in that of every network."
    ]
    assert any("No network was timed here" in remark for remark in estimating.remarks())
    assert len(estimating.table().entries) == len(SPACE.workloads) - 2  # nothing is kept


def test_a_whole_table_needs_no_estimates(tmp_path: Path) -> None:
    whole = imported(tmp_path, ESTIMATE)
    whole.add(record())
    X = SPACE.sample(20, np.random.default_rng(0))
    assert not table_sum(whole).predicted_share(X).any()
    assert whole.n_estimated() == 0
    assert not any("estimated" in remark for remark in whole.remarks())


def test_tables_of_elsewhere_are_completed_likewise() -> None:
    with pytest.raises(RecipeError, match=r"2 of \d+ workloads.*estimate_missing = true"):
        tabulated(record(*MISSING)).predictor()
    estimating = tabulated(record(*MISSING), estimate_missing=True)
    assert estimating.n_estimated() == 2
    X = SPACE.sample(20, np.random.default_rng(0))
    assert table_sum(estimating).predicted_share(X).any()


def test_nothing_is_estimated_from_nothing(tmp_path: Path) -> None:
    with pytest.raises(MissingStepError, match="no table of 'my board' yet"):
        imported(tmp_path, ESTIMATE).predictor()
    few = tabulated(record(*(workload.key for workload in BLOCKS[4:])), estimate_missing=True)
    with pytest.raises(TooFewNeighboursError, match="of 'mb_block' only 4 are"):
        few.predictor()


def test_what_is_measured_here_is_estimated_where_it_was_not(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('name = "a"\n[space]\nname = "macro-mobilenetv2"\n[latency]\n' + ESTIMATE)
    here = device.Device("local", "a processor", device.NOWHERE, 1)
    database = RunDatabase(None, tmp_path)
    measured = MeasuredLatency(recipe.load(path)[0], tmp_path, SPACE, here, database)
    with pytest.raises(TooFewNeighboursError, match="only 0 are"):
        measured.predictor()
    assert measured.n_estimated() == len(SPACE.workloads)
    path.write_text(path.read_text().replace("true", "false"))
    with pytest.raises(MissingWorkloadError):
        MeasuredLatency(recipe.load(path)[0], tmp_path, SPACE, here, database).predictor()
