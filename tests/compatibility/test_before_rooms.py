"""What version 0.1.0 of November 28 (commit 9c32986) wrote is read, and gone on from.

The archive beside this file was written by that commit, before its modules moved into rooms: a
recipe, the table of "a board" that `table export` wrote, a run's folder with its store, its
weights and the evaluations of its studies, and a folder of tuning, of nn.Linear(33, 17) on
(1, 5, 33) for any x86-64, with eight trials.
"""

import platform
import sqlite3
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_runtime import FakeRuntime
from safetensors.numpy import load_file
from torch import nn

from tailorbird import spaces
from tailorbird.export.network import load
from tailorbird.latency_tables import Configuration, Device, Profiler, Program, Store
from tailorbird.latency_tables.devices.target import Target
from tailorbird.latency_tables.formats import files
from tailorbird.latency_tables.runtimes.tvm.tuning.tuning import Tuning
from tailorbird.latency_tables.tables.listing import listing
from tailorbird.progress import NoProgress

ARCHIVE = Path(__file__).with_name("before_rooms.tar.xz")


@pytest.fixture
def before(tmp_path: Path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@dataclass
class AsBefore(FakeRuntime):
    """Measures under a configuration of that store."""

    said: Configuration | None = None

    def configuration(self, device: Device, batch: int) -> Configuration:
        assert self.said is not None
        return self.said


def trials(store: Path) -> int:
    """Number of trials, but for those that only dashboards see."""
    shown = "select study_id from study_user_attributes where key = 'accuracies of'"
    query = f"select count(*) from trials where study_id not in ({shown})"
    with sqlite3.connect(store) as connection:
        (n,) = connection.execute(query).fetchone()
    return int(n)


def test_a_store_holds_what_its_table_says_and_grows(before: Path) -> None:
    store, record = (
        Store(f"sqlite:///{before}/runs/old/store.sqlite"),
        files.read(before / "table.parquet"),
    )
    there = store.record(record.configuration, record.device, record.space)
    assert [one.uid for one in there.rounds] == [one.uid for one in record.rounds]
    assert listing(there, 2) == listing(record, 2)
    assert store.take_in(record) == 0
    reference_ms = min(store.references(record.configuration))
    runtime = AsBefore(said=record.configuration, reference_ms=lambda: reference_ms)
    device = Device("local", record.configuration.cpu, Target("x86_64-linux-gnu", "x86-64"), 1)
    profiler = Profiler(runtime, device, 4, store)
    space = spaces.get("digits-resnet", batch=4, max_stitches=1)
    programs = [Program.of(workload) for workload in space.workloads]
    profiler.profile(programs, 2, NoProgress())
    assert runtime.n_measured == 0
    profiler.profile(
        [*programs[:1], Program("new", lambda: nn.Linear(4, 4), ((1, 4),))], 2, NoProgress()
    )
    assert runtime.n_measured == 2
    assert store.table(record.configuration, "a board", 2).entries.keys() >= {"new"}


@pytest.mark.long
def test_a_run_goes_on_with_weights_and_evaluations(
    before: Path, tailorbird: Callable[..., tuple[int, str, str]]
) -> None:
    run = before / "runs" / "old"
    n_trials = trials(run / "store.sqlite")
    expected, weights = pd.read_parquet(run / "front.parquet"), run / "weights"
    written = {path.name: path.stat().st_mtime_ns for path in weights.iterdir()}
    code, _, err = tailorbird("run", "recipe.toml")
    assert code == 0, err
    assert {path.name: path.stat().st_mtime_ns for path in weights.iterdir()} == written
    assert trials(run / "store.sqlite") == n_trials
    front = pd.read_parquet(run / "front.parquet")
    # The uncertainty is of a kernel that is fitted, to an optimum that CPUs round differently.
    exact = expected.columns.drop("accuracy_std")
    pd.testing.assert_frame_equal(front[exact], expected[exact], rtol=1e-4)
    np.testing.assert_allclose(front["accuracy_std"], expected["accuracy_std"], rtol=1e-2)


@pytest.mark.long
def test_a_network_of_its_front_is_exported(
    before: Path, tailorbird: Callable[..., tuple[int, str, str]]
) -> None:
    pytest.importorskip("onnxscript")
    expected = load_file(before / "runs" / "old" / "weights" / "stitched.safetensors")
    code, out, err = tailorbird("export", "recipe.toml", "--to", "network")
    assert code == 0, err
    assert "network.onnx" in out
    space = spaces.get("digits-resnet", batch=4, max_stitches=1)
    network = load(Path("network.safetensors"), space)
    kept = {tensor.tobytes() for tensor in expected.values()}
    learned = [value.detach().numpy() for value in network.parameters()]
    assert learned
    assert all(value.tobytes() in kept for value in learned)


DEVICE = Device("local", "a processor", Target("x86_64-linux-gnu", "x86-64"), 1)
PROGRAMS = [Program("linear", lambda: nn.Linear(33, 17), ((1, 5, 33),))]


@pytest.mark.tvm
def test_what_tuning_decided_stands(before: Path) -> None:
    """As long as TVM and our schedules are what they were: nothing else may take it up."""
    tuning = Tuning(before / "tuning", DEVICE, ("linear",), 8, 5.0)
    assert tuning.schedule() == "tuned:8-static-2-f7c84b49"
    assert len(tuning.plans()) == 1


@pytest.mark.long
@pytest.mark.tvm
@pytest.mark.usefixtures("locks_of_its_own")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="its kernels are for x86-64")
def test_tuning_goes_on(before: Path) -> None:
    longer = Tuning(before / "tuning", DEVICE, ("linear",), 10, 5.0)
    (folder,) = longer.task_folders(PROGRAMS)
    records = folder.path / "database_tuning_record.json"
    n_before = len(records.read_text().splitlines())
    longer.run(PROGRAMS, NoProgress())
    verdict = folder.verdict()
    assert verdict is not None
    assert verdict.n_trials == 10
    lines = records.read_text().splitlines()
    assert n_before <= len(lines) <= n_before + 2
