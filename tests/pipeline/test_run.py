"""The whole path, through the command line, on real input."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from patience import PATIENCE_S
from small_recipe import small

from tailorbird import recipe, spaces
from tailorbird.cli.tables import NOT_USABLE
from tailorbird.errors import MeasurementError
from tailorbird.latency_tables import Device
from tailorbird.pipeline.accuracy_sources.trained import TrainedAccuracy
from tailorbird.pipeline.database import RunDatabase
from tailorbird.pipeline.latency_sources.measured import MeasuredLatency
from tailorbird.pipeline.opening import open_recipe
from tailorbird.pipeline.own_code.algorithm import algorithm_of
from tailorbird.pipeline.run import Run
from tailorbird.progress import NoProgress
from tailorbird.reports.checked import COLUMNS

Tailorbird = Callable[..., tuple[int, str, str]]
SMALL = small()
LAYERS = """
from torch import nn


def layers():
    return {f"to {n}": (nn.Linear(64, n), (1, 64)) for n in (64, 128, 256, 512)}
"""
OF_LAYERS = """
name = "small"
[space]
programs = "layers:layers"
[latency]
rounds = {rounds}
"""
FILES = {
    "report.html",
    "front.parquet",
    "front.json",
    "front.png",
    "front.svg",
    "report.md",
    "random.parquet",
    "search.parquet",
    "summary.json",
    "recipe.toml",
    "run.log",
}


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tailorbird", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def in_a_process(folder: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=PATIENCE_S)
    code = process.returncode  # of a busy machine's table, which is seldom to be used
    return (0 if code == NOT_USABLE else code), out, err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(SMALL)
    return tmp_path


def count_rounds(folder: Path) -> int:
    with sqlite3.connect(folder / "runs/small/store.sqlite") as store:
        return int(store.execute("select count(*) from sample where ms is not null").fetchone()[0])


def wait_for_rounds(folder: Path, n: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if count_rounds(folder) >= n:
                return
        except sqlite3.OperationalError:
            pass
        time.sleep(0.1)
    pytest.fail(f"{n} rounds were not there in time")


def workers_of(folder: Path) -> list[int]:
    """Processes that time programs compiled in this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            timing = b"tvm.timer" in (entry.parent / "cmdline").read_bytes()
            if timing and entry.resolve() == folder.resolve():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.tvm
@pytest.mark.long
def test_the_main_job_reports_and_picks_up_what_is_there(
    folder: Path, tailorbird: Tailorbird
) -> None:
    code, out, err = in_a_process(folder, "run", "small.toml", "--json")
    assert code == 0, err
    made = folder / "runs" / "small"
    assert {path.name for path in made.iterdir()} >= FILES
    assert not list(made.rglob("*.part"))
    front = pd.read_parquet(made / "front.parquet")
    assert tuple(front.columns) == (*COLUMNS, "start", "stitch_1")
    assert 1 <= len(front) <= 3
    assert not front.isna().any().any()
    assert front["accuracy_test"].between(0, 1).all()
    assert (front["latency_ms_measured"] > 0).all()
    summary = json.loads(out)
    assert summary == json.loads((made / "summary.json").read_text())
    assert 0 < summary["share_of_exact_hypervolume"] <= 1 + 1e-9
    assert summary["n_timed"] >= 3
    html = (made / "report.html").read_text()
    assert all(name in html for name in front["architecture"].str.replace(">", "&gt;"))
    assert "<script src=" not in html  # opens offline

    before = count_rounds(folder)
    code, out, err = tailorbird("run", "small.toml", "--json")
    assert code == 0, err
    assert count_rounds(folder) == before
    pd.testing.assert_frame_equal(pd.read_parquet(made / "front.parquet"), front)

    code, _, err = tailorbird("export", "small.toml", "--architecture", "w4:0-5")
    assert code == 0, err
    assert (made / "network" / "network.safetensors").exists()
    assert (made / "network" / "network.onnx").exists()
    code, _, err = tailorbird("export", "small.toml", "--max-latency-ms", "1e-9")
    assert code == 2
    assert "the fastest network of the front takes" in err

    code, out, err = tailorbird("table", "show", "small.toml", "--json")
    assert code == 0, err
    shown = {row["workload"] for row in json.loads(out)["rows"]}
    assert "residual_block(width=8)[4x8x8x8]f32" in shown


@pytest.mark.tvm
@pytest.mark.parametrize(
    "how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
@pytest.mark.long
def test_a_profiler_that_is_stopped_loses_nothing_and_carries_on(
    folder: Path, how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = folder / "small.toml"
    (folder / "layers.py").write_text(LAYERS)
    small.write_text(OF_LAYERS.format(rounds=40))
    process = start(folder, "profile", "small.toml")
    wait_for_rounds(folder, 20)
    assert workers_of(folder)
    os.kill(process.pid, how)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert "Profiling: " in err  # though half a minute has not passed
    if how == signal.SIGINT:
        assert process.returncode == 1
        assert "What was done is kept" in err
        assert "Traceback" not in err
    end = time.monotonic() + PATIENCE_S
    while workers_of(folder) and time.monotonic() < end:
        time.sleep(0.1)
    assert not workers_of(folder)

    assert count_rounds(folder) >= 20
    small.write_text(OF_LAYERS.format(rounds=3))
    code, _, err = in_a_process(folder, "profile", "small.toml")
    assert code == 0, err
    monkeypatch.chdir(folder)
    counted = open_recipe(small).latency.record().accepted
    assert len(counted) == 5  # with the empty one
    for taken in counted.values():
        numbers = [one.number for one in taken]
        assert len(set(numbers)) == len(numbers) >= 3


@pytest.mark.tvm
@pytest.mark.parametrize("runtime", ["tvm", pytest.param("onnxruntime", marks=pytest.mark.slow)])
@pytest.mark.long
def test_whole_networks_are_measured_beside_workloads(
    folder: Path, runtime: str, tailorbird: Tailorbird
) -> None:
    text = SMALL.replace("max_stitches = 1", "max_stitches = 0")
    (folder / "small.toml").write_text(
        text.replace("rounds = 2", f'rounds = 2\nruntime = "{runtime}"')
    )
    space = spaces.get("digits-resnet", batch=4, max_stitches=0)
    X = space.sample(2, np.random.default_rng(0))
    columns = [variable.name for variable in space.variables]
    pd.DataFrame(np.concatenate([X, X]), columns=columns).to_parquet(folder / "nets.parquet")
    code, out, err = tailorbird("profile", "small.toml", "--networks", "nets.parquet", "--json")
    assert code == 0, err
    for key in [*(w.key for w in space.workloads), *(space.describe(row) for row in X)]:
        assert key in out


def test_networks_that_do_not_fit_are_named_before_anything_is_measured(
    folder: Path, tailorbird: Tailorbird
) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(folder / "nets.parquet")
    code, _, err = tailorbird("profile", "small.toml", "--networks", "nets.parquet")
    assert code == 2
    assert "must have a column for each variable" in err
    assert err.count("\n") == 1


def test_what_fails_is_counted_and_the_rest_is_measured(
    folder: Path, runtime: Any, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    read, text = recipe.load(folder / "small.toml")
    space = spaces.get("digits-resnet", batch=4, max_stitches=1)
    database = RunDatabase(None, folder / "runs" / "small")
    latency = MeasuredLatency(read, folder, space, device, database)
    accuracy = TrainedAccuracy(read, folder, space, database.folder, database.checked_url)
    run = Run(
        read,
        text,
        space,
        latency,
        (),
        accuracy,
        algorithm_of(read.search, folder),
        database.folder,
        NoProgress(),
    )
    runtime.broken = frozenset({1, 3})
    latency.setup.__dict__["runtime"] = runtime
    with run.held(), pytest.raises(MeasurementError, match=r"2 of 16 programs .* it is broken"):
        run.profile()
    assert len(run.latency.table().entries) == 14
    assert len(run.latency.table().failures) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("digits-resnet", "digit-resnet"), "did you mean 'digits-resnet'"),
        (("max_stitches", "max_stiches"), "did you mean 'max_stitches'"),
        (('name = "local"', 'name = "lokal"'), "did you mean 'local'"),
        (("batch = 4", "threads = 4096"), "must hold on this machine, but got 4096"),
        (("rounds = 2", "rounds = 2.5"), "valid integer"),
        (("rounds = 2", "rnds = 2"), "did you mean 'rounds'"),
        (('name = "small"', 'name = "sm'), "not valid TOML"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    folder: Path, tailorbird: Tailorbird, change: tuple[str, str], message: str
) -> None:
    (folder / "small.toml").write_text(SMALL.replace(*change))
    code, out, err = tailorbird("run", "small.toml")
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not out
    assert [path.name for path in folder.iterdir()] == ["small.toml"]


def test_a_search_without_a_table_names_a_workload_and_the_command(
    folder: Path, tailorbird: Tailorbird
) -> None:
    code, _, err = tailorbird("search", "small.toml")
    assert code == 2
    assert "16 of 16 workloads are not in the table of 'local'" in err
    assert "embedding(width=4)[4x1x8x8]f32" in err
    assert "tailorbird profile" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--architecture", "x", "--max-latency-ms", "3"), "or a largest latency, not both"),
        (("--max-latency-ms", "-1"), "must be finite and positive, but got -1"),
        (("--architecture", "x"), "There is no network 'x' in digits-resnet"),
        ((), "There is no front"),
    ],
)
def test_an_export_is_refused_before_weights_are_looked_for(
    tailorbird: Tailorbird, arguments: tuple[str, ...], sentence: str
) -> None:
    Path("small.toml").write_text(SMALL)
    code, _, err = tailorbird("export", "small.toml", *arguments)
    assert code == 2
    assert sentence in err


@pytest.mark.data("snnet_stitches.csv.gz")
@pytest.mark.long
def test_published_accuracies_need_no_training(folder: Path, tailorbird: Tailorbird) -> None:
    (folder / "deit.toml").write_text(
        'name = "deit"\n[space]\nname = "deit-ti-s-b"\n[device]\nname = "epyc-avx512"\n'
        '[accuracy]\npublished = "snnet"\n[search]\npopulation = 20\ngenerations = 5\n'
        "[report]\nnetworks = 71\nrandom_networks = 3\n"
    )
    code, out, err = tailorbird("run", "deit.toml", "--json")
    assert code == 0, err
    front = pd.read_parquet(folder / "runs/deit/front.parquet")
    # SN-Net's own best stitch, and a front that is true since every network is in its table.
    assert front["accuracy_test"].max() == pytest.approx(0.8204, abs=1e-4)
    np.testing.assert_allclose(front["accuracy_predicted"], front["accuracy_test"])
    assert front["latency_ms_measured"].isna().all()
    assert "published" in (folder / "runs/deit/report.html").read_text()
    assert json.loads(out)["share_of_exact_hypervolume"] > 0.9
    code, _, err = tailorbird("export", "deit.toml")
    assert code == 2
    assert "no weights to export" in err


@pytest.mark.long
def test_two_processes_do_not_share_a_run(folder: Path) -> None:
    (folder / "runs" / "small").mkdir(parents=True)
    with FileLock(folder / "runs" / "small" / ".lock"):
        code, _, err = in_a_process(folder, "train", "small.toml")
    assert code == 2
    assert "Another process is working in 'runs/small'" in err


def test_a_torn_store_is_refused_and_left_alone(folder: Path, tailorbird: Tailorbird) -> None:
    store = folder / "runs" / "small" / "store.sqlite"
    store.parent.mkdir(parents=True)
    store.write_bytes(b"SQLite format 3\0" + b"torn" * 1000)
    code, _, err = tailorbird("profile", "small.toml")
    assert code == 2
    assert "cannot be opened" in err
    assert store.read_bytes().endswith(b"torn")


def test_a_folder_that_cannot_be_used_is_named(folder: Path, tailorbird: Tailorbird) -> None:
    (folder / "runs").write_text("a file")
    code, _, err = tailorbird("profile", "small.toml")
    assert code == 2
    assert "The folder 'runs/small' cannot be used" in err
    assert err.count("\n") == 1


def test_a_table_that_is_not_there_is_an_error_and_leaves_nothing(
    folder: Path, tailorbird: Tailorbird
) -> None:
    code, _, err = tailorbird("table", "show", "small.toml")
    assert code == 2
    assert "tailorbird profile" in err
    assert not (folder / "runs").exists()


def test_devices_says_what_recipes_see(folder: Path, tailorbird: Tailorbird) -> None:
    code, out, err = tailorbird("devices", "--json")
    assert code == 0, err
    assert json.loads(out)[0]["name"] == "local"
