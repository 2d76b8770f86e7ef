"""A device of which ten networks are timed, in the search and in the report."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_recipe import small

from tailorbird import recipe, spaces
from tailorbird.errors import MeasurementError, MissingStepError, RecipeError
from tailorbird.latency_tables import Configuration, Device, LatencyTable, Record
from tailorbird.latency_tables.formats import files
from tailorbird.latency_tables.formats.imported import Stated, record_of
from tailorbird.latency_tables.tables.table import Latency
from tailorbird.pipeline.accuracy_sources.trained import TrainedAccuracy
from tailorbird.pipeline.database import RunDatabase
from tailorbird.pipeline.latency_sources.adaptation import Adaptation
from tailorbird.pipeline.latency_sources.adapted import AdaptedLatency
from tailorbird.pipeline.opening import open_recipe
from tailorbird.pipeline.own_code.algorithm import algorithm_of
from tailorbird.pipeline.run import Run
from tailorbird.predictors.counted_costs import WorkloadSum
from tailorbird.predictors.metrics import mape
from tailorbird.progress import NoProgress
from tailorbird.search import Objective, Problem, enumerated_front, exact_front
from tailorbird.spaces import CALL
from tailorbird.spaces.footprint import costs

SPACE = spaces.get("digits-resnet", batch=4, max_stitches=1)
BOARD = Configuration.imported("my board", 1, 4)
RECIPE = small(
    latency='adapt_from = ["board.parquet"]\nsamples = 6',
    accuracy='stitch_epochs = 0\npredictor = "ridge"',
)


def board(configuration: Configuration = BOARD, *, without: int = 0) -> Record:
    """A device that takes time for multiply-adds, and a little for every workload."""
    ms = 0.002 + 1e-7 * costs(SPACE.workloads)[:, 0]
    stated = [
        Stated(workload.key, float(t), None, 2)
        for workload, t in zip(SPACE.workloads[without:], ms[without:], strict=True)
    ]
    stated.append(Stated(CALL.key, 0.001, None, 2))
    return record_of(stated, {"file": "t.csv", "sha256": "0"}, configuration, SPACE.name)


def by_learned_values(runtime: Any) -> None:
    """This device takes time for learned values, so it is not just another speed."""

    def ms(number: int) -> float:
        n_params = sum(p.numel() for p in runtime.modules[number].parameters())
        return 0.01 + 1e-5 * float(n_params)

    runtime.ms = ms


@pytest.fixture
def run(
    locks_of_its_own: None,
    tmp_path: Path,
    runtime: Any,
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Run]:
    """Of a recipe on a device that is adapted."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    read, text = recipe.load(path)
    folder = tmp_path / "runs" / "small"
    database = RunDatabase(None, folder)
    latency = AdaptedLatency(read, tmp_path, SPACE, device, database, (board(),))
    latency.setup.__dict__["runtime"] = runtime
    by_learned_values(runtime)
    accuracy = TrainedAccuracy(read, tmp_path, SPACE, folder, database.checked_url)
    made = Run(
        read,
        text,
        SPACE,
        latency,
        (),
        accuracy,
        algorithm_of(read.search, tmp_path),
        folder,
        NoProgress(),
    )
    with made.held():
        yield made


def adapted(path: Path) -> AdaptedLatency:
    latency = open_recipe(path).latency
    assert isinstance(latency, AdaptedLatency)
    return latency


def timed(adaptation: Adaptation, ms: np.ndarray) -> LatencyTable:
    keys = [program.key for program in adaptation.programs]
    entries = {k: Latency.stated(float(t), None) for k, t in zip(keys, ms, strict=True)}
    return LatencyTable("new", BOARD, entries, {})


@pytest.mark.long
def test_a_run_times_only_samples_and_says_so_wherever_latencies_are_shown(
    run: Run, runtime: Any
) -> None:
    summary = run.run()
    keys = set(run.latency.table().entries)
    samples = {program.key for program in Adaptation(SPACE, (board(),), 6).programs}
    assert samples <= keys
    assert not keys & {workload.key for workload in SPACE.workloads}
    said = summary["adapted"]
    assert isinstance(said, dict)
    assert said["n_networks"] == 6
    assert said["from"] == ["my board (imported, 1 thread, for not stated)"]
    assert 0 < said["mape_left_out"] < 0.2
    html = (run.folder / "report.html").read_text()
    assert "adapted from my board" in html
    assert "6 networks that were timed on this device" in html
    front = pd.read_parquet(run.folder / "front.parquet")
    assert (front["latency_ms_std"] > 0).all()
    predicted, measured = front["latency_ms_predicted"], front["latency_ms_measured"]
    assert mape(predicted.to_numpy(), measured.to_numpy()) < 0.1
    assert summary["share_of_exact_hypervolume"] is not None

    n_measured = runtime.n_measured
    assert json.loads((run.folder / "summary.json").read_text())["adapted"] == said
    run.adapt()
    assert runtime.n_measured == n_measured  # what is there is not measured again


@pytest.mark.long
def test_more_samples_go_on_where_fewer_ended(run: Run, runtime: Any) -> None:
    run.adapt(4)
    first = set(run.latency.table().entries)
    with pytest.raises(MissingStepError, match=r"2 of 6 networks .* `tailorbird adapt RECIPE`"):
        run.latency.predictor()
    adapted = run.adapt()
    assert len(adapted.networks) == 6
    assert len(runtime.modules) == 6
    assert first < set(run.latency.table().entries)
    X = SPACE.sample(50, np.random.default_rng(0))
    np.testing.assert_array_equal(run.latency.predictor().mean(X), adapted.latency.mean(X))


@pytest.mark.long
def test_a_whole_table_beside_is_kept_and_pointed_out(run: Run) -> None:
    run.adapt()
    (only,) = run.latency.remarks()
    run.profile()
    assert len(run.latency.table().entries) == 6 + len(SPACE.workloads) + 1
    again, whole = run.latency.remarks()
    assert again == only
    assert "drop [latency] adapt_from" in whole


@pytest.mark.long
def test_a_sample_that_fails_is_named(run: Run, runtime: Any) -> None:
    runtime.broken = frozenset({1})
    with pytest.raises(MeasurementError, match=r"1 of 6 programs .* it is broken"):
        run.adapt()
    with pytest.raises(MissingStepError, match="1 of 6 networks"):
        run.latency.predictor()


def test_the_very_configuration_is_no_other_device(run: Run) -> None:
    object.__setattr__(run.latency, "known", (board(run.latency.configuration()),))
    with pytest.raises(RecipeError, match="nothing has to be adapted"):
        run.adapt()


def test_each_network_left_out_is_predicted_from_the_others() -> None:
    adaptation = Adaptation(SPACE, (board(),), 8)
    macs = SPACE.count_workloads(adaptation.samples) @ costs(SPACE.workloads)[:, 0]
    adapted = adaptation.adapted(timed(adaptation, 0.01 + 3e-7 * macs))
    networks = adapted.networks
    assert networks["architecture"].tolist() == [SPACE.describe(row) for row in adaptation.samples]
    off = networks["latency_ms_left_out"] / networks["latency_ms_measured"] - 1
    assert adapted.mape_left_out == pytest.approx(off.abs().mean())
    assert f"{adapted.mape_left_out:.1%} off" in str(adapted)


def test_further_suggestions_that_are_timed_count() -> None:
    eight = Adaptation(SPACE, (board(),), 8)
    macs = SPACE.count_workloads(eight.samples) @ costs(SPACE.workloads)[:, 0]
    table = timed(eight, 0.01 + 3e-7 * macs)
    assert Adaptation(SPACE, (board(),), 3).extended(table).n_samples == 8
    assert eight.extended(table).n_samples == 8


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(RecipeError, match=rf"2 of {len(SPACE.workloads)} are not in the table"):
        Adaptation(SPACE, (board(), board(without=2)), 6)
    with pytest.raises(RecipeError, match=rf"at most {SPACE.size} in .*, but got 1000"):
        Adaptation(SPACE, (board(),), 1000)


def test_what_would_take_no_time_is_extrapolated_and_marked() -> None:
    adaptation = Adaptation(SPACE, (board(),), 3)
    macs = SPACE.count_workloads(adaptation.samples) @ costs(SPACE.workloads)[:, 0]
    latency = adaptation.adapted(timed(adaptation, (macs / macs.min()) ** 3)).latency
    X = np.vstack(list(SPACE.enumerate()))
    predicted = latency.predict(X)
    assert predicted.extrapolated is not None
    assert 0 < predicted.extrapolated.sum() < len(X)
    assert (predicted.mean > 0).all()
    assert (predicted.std > predicted.mean)[predicted.extrapolated].all()
    np.testing.assert_allclose(latency.mean(X), predicted.mean, rtol=1e-9)
    problem = Problem(
        SPACE,
        (
            Objective("latency", "ms", "min", latency),
            Objective("mega_params", "", "max", WorkloadSum.mega_params(SPACE)),
        ),
    )
    by_paths, one_by_one = exact_front(problem), enumerated_front(problem)
    np.testing.assert_allclose(by_paths.F, one_by_one.F, rtol=1e-9)
    shown = by_paths.to_pandas()
    assert shown["latency_ms_extrapolated"].any()
    assert "mega_params_extrapolated" not in shown


@pytest.mark.tvm
@pytest.mark.slow
def test_the_command_times_samples_prints_them_and_resumes(tmp_path: Path) -> None:
    files.write(board(), tmp_path / "board.parquet")
    (tmp_path / "small.toml").write_text(RECIPE)

    def adapt(*arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "-W", "error", "-m", "tailorbird", "adapt", "small.toml"]
        done = subprocess.run(
            [*command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout, done.stderr

    code, out, err = adapt("--samples", "3", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["n_networks"] == len(found["networks"]) == 3
    assert all(one["latency_ms_measured"] > 0 for one in found["networks"])
    code, out, err = adapt("--samples", "3")
    assert code == 0, err
    assert all(one["architecture"] in out for one in found["networks"])
    assert "3 networks that were timed" in err
    code, _, err = adapt("--samples", "2")
    assert code == 2
    (tmp_path / "small.toml").write_text(
        RECIPE.replace('adapt_from = ["board.parquet"]\nsamples = 6\n', "")
    )
    code, _, err = adapt()
    assert code == 2
    assert "adapt_from" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("latency", "message"),
    [
        ('adapt_from = ["a"]\nsamples = 2', "greater than or equal to 3"),
        ("samples = 5", "add adapt_from"),
        ('adapt_from = ["a", "a"]', "each table once"),
        ('adapt_from = ["a"]\nruntime = "imported"', "a device that is measured"),
        ('adapt_from = ["a"]\nestimate_missing = true', "drop estimate_missing"),
        ('adapt_from = ["epyc-avx513"]', "did you mean 'epyc-avx512'"),
        ('adapt_from = ["epyc-avx512"]\n[device]\nname = "epyc-avx512"', "a whole table: drop it"),
    ],
)
def test_recipes_that_make_no_sense_are_one_sentence(
    tmp_path: Path, latency: str, message: str
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f'name = "a"\n[space]\nname = "deit-ti-s-b"\n[latency]\n{latency}\n')
    with pytest.raises(RecipeError, match=message.replace("[", r"\[")):
        open_recipe(path)


def test_tables_are_named_or_files_however_they_were_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files.write(board(), Path("board.parquet"))
    Path("small.toml").write_text(
        RECIPE.replace('["board.parquet"]', '["board.parquet", "epyc-avx512"]')
    )
    known = adapted(Path("small.toml")).known
    assert [record.device for record in known] == ["board.parquet", "epyc-avx512"]
    assert known[1].configuration.runtime == "tvm"
    Path("small.toml").write_text(
        RECIPE.replace('["board.parquet"]', '["epyc-avx512"]\nruntime = "onnxruntime"')
    )
    (record,) = adapted(Path("small.toml")).known
    assert record.configuration.runtime == "onnxruntime"
