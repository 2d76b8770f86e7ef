"""Plans of kernels, and tuning that is killed, shared, torn or given schedules that hang."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import tvm
from patience import PATIENCE_S
from safetensors.numpy import load_file
from torch import Tensor, nn
from tvm import relax
from tvm.s_tir.schedule import Schedule

from tailorbird.errors import MeasurementError, MissingStepError, RecipeError
from tailorbird.latency_tables import Program, Timing
from tailorbird.latency_tables.devices.device import find
from tailorbird.latency_tables.profiling.numerics import check
from tailorbird.latency_tables.runtimes.tvm import TvmRuntime
from tailorbird.latency_tables.runtimes.tvm.compile.build import build_tuned_library
from tailorbird.latency_tables.runtimes.tvm.compile.importer import import_module
from tailorbird.latency_tables.runtimes.tvm.compile.planned import planned
from tailorbird.latency_tables.runtimes.tvm.schedule.plan import Plan
from tailorbird.latency_tables.runtimes.tvm.schedule.plan_space import TuningSpace
from tailorbird.latency_tables.runtimes.tvm.schedule.schedule import schedule_kernel
from tailorbird.latency_tables.runtimes.tvm.schedule.tile import Tile
from tailorbird.latency_tables.runtimes.tvm.target import llvm_target, vector_unit
from tailorbird.latency_tables.runtimes.tvm.tuning.database import TaskFolder
from tailorbird.latency_tables.runtimes.tvm.tuning.decision import TuningDecision
from tailorbird.latency_tables.runtimes.tvm.tuning.kernel_bench import KernelBench
from tailorbird.latency_tables.runtimes.tvm.tuning.peak import macs_per_second
from tailorbird.latency_tables.runtimes.tvm.tuning.tasks import Task, tasks_of
from tailorbird.latency_tables.runtimes.tvm.tuning.trials import Bench, tune, weakest_first
from tailorbird.latency_tables.runtimes.tvm.tuning.tuning import Tuning
from tailorbird.pipeline.opening import open_recipe
from tailorbird.progress import NoProgress
from tailorbird.recipe import load

pytestmark = [
    pytest.mark.tvm,
    pytest.mark.usefixtures("locks_of_its_own"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

DEVICE = find("local", threads=1)
LLVM, UNIT = llvm_target(DEVICE.target), vector_unit(DEVICE.target)


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = x.reshape(2, 19, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
        return nn.functional.scaled_dot_product_attention(q, k, v)


MODULES: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "dense, gelu": (nn.Sequential(nn.Linear(96, 40), nn.GELU()), (1, 23, 96)),
    "convolution": (nn.Sequential(nn.Conv2d(8, 12, 3, padding=1), nn.ReLU()), (2, 8, 7, 9)),
    "depthwise": (nn.Conv2d(13, 13, 3, padding=1, groups=13), (1, 13, 9, 9)),
    "attention": (Attention(), (2, 19, 48)),
}


def linear() -> nn.Module:
    return nn.Linear(64, 48)


SCALAR = Program("scalar", lambda: nn.Conv2d(16, 17, 3, dilation=2), ((1, 16, 12, 12),))
PROGRAMS = [Program("linear", linear, ((1, 20, 64),))]


def tasks(name: str) -> list[Task]:
    module, shape = MODULES[name]
    return tasks_of(import_module(module.eval(), (torch.randn(shape),)), LLVM, UNIT)


def make(folder: Path, task: Task) -> TaskFolder:
    return TaskFolder.make(folder, task.key, task.fields)


def addresses(bench: KernelBench) -> set[int]:
    tensors = (tensor for copies in bench.tensors.values() for tensor in copies)
    return {np.from_dlpack(tensor).ctypes.data for tensor in tensors}


def tuning(folder: Path, n_trials: int = 4, minutes: float = 5.0) -> Tuning:
    return Tuning(folder, DEVICE, ("linear",), n_trials, minutes)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(DEVICE, tmp_path / "worker.log")
    yield bench
    bench.close()


@pytest.mark.parametrize("name", MODULES)
def test_the_static_rule_is_a_plan_of_every_task(name: str) -> None:
    for task in tasks(name):
        kernel = next(iter(task.kernels.values()))
        codes = []
        for given in (kernel, planned(kernel, task.space.static)):
            s = Schedule(tvm.IRModule({"main": given}))
            assert schedule_kernel(s, UNIT, 1)
            lines = s.mod["main"].script().splitlines()
            codes.append([line for line in lines if "tailorbird." not in line])
        assert codes[0] == codes[1]


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.long
def test_whatever_the_plan_the_kernel_computes_the_same(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for task in tasks(name):
        bench = KernelBench(make(tmp_path, task), LLVM, UNIT, 1)
        tried = {Plan(tile): 1.0 for tile in task.space.tile}
        codes = set()
        for _ in range(5):
            plan = task.space.next(tried, rng)
            assert plan is not None
            tried[plan] = rng.random()
            bench.build(plan)
            assert bench.compare() <= 1e-5, plan
            codes.add(bench.schedule.mod.script())
        assert len(codes) >= 4  # some plans are the same schedule, but not most


def test_proposals_begin_with_the_static_plan_differ_and_come_to_an_end() -> None:
    tiles = (Tile(8, 16, 16), Tile(4, 16, 16))
    space = TuningSpace(4, False, tiles, outside=(0, 1), unroll=(1, 2), padding=("first",))
    seconds: dict[Plan, float] = {}
    rng = np.random.default_rng(0)
    while (plan := space.next(seconds, rng)) is not None:
        assert plan not in seconds
        seconds[plan] = math.inf if plan.unroll == 2 else 1.0
    assert list(seconds)[:2] == [Plan(tile) for tile in tiles]
    assert len(seconds) == 2 * 2 * 2


def test_tasks_are_known_by_structure_wherever_they_are() -> None:
    def keys(module: nn.Module, shape: tuple[int, ...]) -> set[str]:
        imported = import_module(module.eval(), (torch.randn(shape),))
        return {task.key for task in tasks_of(imported, LLVM, UNIT)}

    alone = keys(nn.Linear(24, 24), (5, 24))
    twice = keys(nn.Sequential(nn.Linear(24, 24), nn.Softmax(-1), nn.Linear(24, 24)), (5, 24))
    assert len(alone) == 1
    assert twice == alone
    assert keys(nn.Linear(24, 24), (6, 24)).isdisjoint(alone)
    assert keys(nn.Sequential(nn.Linear(24, 24), nn.ReLU()), (5, 24)).isdisjoint(alone)


def test_multiply_adds_are_those_asked_for() -> None:
    (task,) = tasks("dense, gelu")
    assert (task.n_macs, task.columns) == (23 * 96 * 40, 40)
    (task,) = tasks("convolution")
    assert (task.n_macs, task.columns) == (2 * 7 * 9 * 12 * 9 * 8, 12)


@pytest.mark.parametrize("name", MODULES)
def test_tuned_libraries_agree_with_torch_and_say_what_is_tuned(name: str, tmp_path: Path) -> None:
    module, shape = MODULES[name]
    found = tasks(name)
    plans = {
        task.key: replace(Plan(task.space.tile[-1]), epilogue="end", unroll=task.space.unroll[-1])
        for task in found[:1]
    }
    x = torch.randn(shape)
    path = tmp_path / "program.so"
    kernels = build_tuned_library(module.eval(), (x,), DEVICE.target, 1, path, plans)
    assert (len(kernels.tuned), len(kernels.static)) == (1, len(found) - 1)
    assert kernels.unscheduled == []
    weights = load_file(path.with_suffix(".safetensors"))
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())
    last = x.movedim(1, -1).contiguous() if x.dim() == 4 else x
    arguments = [last.numpy(), *(weights[str(i)] for i in range(len(weights)))]
    y = machine["main"](*map(tvm.runtime.tensor, arguments)).numpy()
    y = np.moveaxis(y, -1, 1) if y.ndim == 4 else y
    with torch.no_grad():
        expected = module(x).numpy()
    assert np.abs(y - expected).max() <= 1e-5 * np.abs(expected).max()


def test_the_peak_is_above_what_a_kernel_reaches(tmp_path: Path) -> None:
    module = nn.Linear(128, 96).eval()
    (task,) = tasks_of(import_module(module, (torch.randn(96, 128),)), LLVM, UNIT)
    bench = KernelBench(make(tmp_path, task), LLVM, UNIT, 1)
    peaks, times = [], []
    for _ in range(5):  # in turns: a core that others use for a while is slow for both
        peaks.append(macs_per_second(LLVM, UNIT))
        times += [best[0] for best in bench.time(3, 3, 0.002, math.inf)]
    assert 0.2 < task.n_macs / min(times) / max(peaks) < 1.1


def test_identity_is_that_of_the_plans_that_are_kept(tmp_path: Path) -> None:
    plan = Plan(Tile(8, 16, 16), unroll=2)
    tuned = TuningDecision(64, {"b": plan, "a": plan}, 3, 3)
    assert tuned.schedule.startswith("tuned:64-static-")
    assert replace(tuned, plans={"a": plan, "b": plan}, n_tasks=5).schedule == tuned.schedule
    assert replace(tuned, plans={"a": plan}).schedule != tuned.schedule
    assert (
        replace(tuned, plans={"a": plan, "b": replace(plan, unroll=4)}).schedule != tuned.schedule
    )
    assert TuningDecision.read(tmp_path / "none.json") is None
    tuned.write(tmp_path / "tuned.json")
    assert TuningDecision.read(tmp_path / "tuned.json") == tuned
    (tmp_path / "tuned.json").write_text('{"n_trials": 64')
    with pytest.raises(MeasurementError, match="delete it to decide anew"):
        TuningDecision.read(tmp_path / "tuned.json")


def test_nothing_is_compiled_before_it_was_decided(tmp_path: Path) -> None:
    runtime = TvmRuntime(tmp_path / "compiled", Timing(), tuning=tuning(tmp_path))
    assert runtime.configuration(DEVICE, 1).schedule.endswith("undecided")
    with pytest.raises(MissingStepError, match="tailorbird profile"):
        runtime.compile(linear().eval(), PROGRAMS[0].examples(0), DEVICE)


@pytest.mark.long
def test_lines_that_a_kill_left_torn_are_cut_off(tmp_path: Path) -> None:
    (task,) = tasks("dense, gelu")
    folder = make(tmp_path, task)
    bench = KernelBench(folder, LLVM, UNIT, 1)
    plans = [Plan(tile) for tile in task.space.tile[:4]]
    for number, plan in enumerate(plans[:3]):
        bench.build(plan)
        bench.keep(1.0 + number)
    folder.fail(plans[3], "it hung")
    records = folder.path / "database_tuning_record.json"
    records.write_text(records.read_text()[:-20])  # the last of three
    with (folder.path / "failures.jsonl").open("a") as file:
        file.write('{"plan": {"ti')
    with folder.held() as ours:
        assert ours
        with TaskFolder(folder.path).held() as theirs:
            assert not theirs
    found = KernelBench(folder, LLVM, UNIT, 1).tried()
    assert {Plan.of(fields): s for fields, s in found} == {plans[0]: 1.0, plans[1]: 2.0}
    assert folder.failed() == {plans[3]: math.inf}


@pytest.mark.slow
def test_a_task_goes_on_when_its_process_dies(tmp_path: Path, bench: Bench) -> None:
    (task,) = tasks("dense, gelu")
    folder = make(tmp_path, task)
    with folder.held():
        assert tune(folder, bench, 3, math.inf, lambda done: None) is not None
        assert bench.worker is not None
        os.kill(bench.worker.pid, signal.SIGKILL)  # and another one starts
        verdict = tune(folder, bench, 5, math.inf, lambda done: None)
    assert verdict is not None
    assert verdict.n_trials == 5
    records = folder.path / "database_tuning_record.json"
    assert len(records.read_text().splitlines()) == 5
    assert folder.verdict() == verdict


@pytest.mark.slow
def test_a_schedule_that_hangs_is_noted_and_never_tried_again(tmp_path: Path, bench: Bench) -> None:
    (task,) = tasks("dense, gelu")
    folder = make(tmp_path, task)
    bench.limit_s = 3.0
    done: list[str] = []

    def freeze_once(text: str) -> None:
        done.append(text)
        if len(done) == 2:
            assert bench.worker is not None
            os.kill(bench.worker.pid, signal.SIGSTOP)

    with folder.held():
        verdict = tune(folder, bench, 5, math.inf, freeze_once)
    assert verdict is not None
    assert (verdict.n_trials, len(folder.failed())) == (5, 1)
    records = (folder.path / "database_tuning_record.json").read_text().splitlines()
    assert len(records) == 4


def tuning_process(folder: Path, n_trials: int) -> "subprocess.Popen[str]":
    code = (
        "import sys; sys.path[:0] = sys.argv[3:]; from pathlib import Path;"
        "import test_tuning as t;"
        "tuning = t.tuning(Path(sys.argv[1]), int(sys.argv[2]));"
        "print(tuning.run(t.PROGRAMS, t.NoProgress()).schedule)"
    )
    here = Path(__file__).parent
    arguments = [str(folder), str(n_trials), str(here), str(here.parents[2])]
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_processes_share_tasks_and_come_to_the_same(tmp_path: Path) -> None:
    processes = [tuning_process(tmp_path, 4) for _ in "ab"]
    try:
        schedules = {process.communicate(timeout=PATIENCE_S)[0] for process in processes}
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert len(schedules) == 1
    assert schedules.pop().startswith("tuned:4-static-")
    (records,) = tmp_path.glob("*/*/database_tuning_record.json")
    assert len(records.read_text().splitlines()) == 4  # nothing was tried twice


@pytest.mark.slow
def test_tuning_that_is_killed_goes_on(tmp_path: Path) -> None:
    process = tuning_process(tmp_path, 50)
    deadline = time.monotonic() + PATIENCE_S
    while not (found := list(tmp_path.glob("*/*/database_tuning_record.json"))):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    n_before = len(found[0].read_text().splitlines())
    tuned = tuning(tmp_path, n_before + 1).run(PROGRAMS, NoProgress())
    assert (tuned.n_tasks, tuned.n_reached) == (1, 1)
    assert len(found[0].read_text().splitlines()) <= n_before + 1


@pytest.mark.slow
def test_more_minutes_go_to_what_was_not_reached_and_leave_what_was_decided(tmp_path: Path) -> None:
    first = tuning(tmp_path, minutes=0.0).run(PROGRAMS, NoProgress())
    assert first.n_reached == 0
    second = tuning(tmp_path, minutes=1.0).run(PROGRAMS, NoProgress())
    assert second.n_reached == 1
    assert tuning(tmp_path, minutes=0.0).run(PROGRAMS, NoProgress()) == first
    assert tuning(tmp_path, minutes=0.0).schedule() == first.schedule


@pytest.mark.long
def test_what_another_process_holds_comes_last_and_may_turn_out_to_be_untunable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = tuning(tmp_path, 3)
    own.database.mkdir(parents=True)
    uses = own.task_folders([SCALAR, *PROGRAMS])
    scalar = next(folder for folder in uses if "64" not in folder.task["name"])
    with closing(Bench(DEVICE, tmp_path / "worker.log")) as bench:
        with TaskFolder(scalar.path).held() as is_theirs:
            assert is_theirs
            assert weakest_first(bench, uses)[-1] == scalar
        assert weakest_first(bench, uses) == [folder for folder in uses if folder != scalar]
        assert own._tune(scalar, bench, math.inf, lambda done: None)
    assert "is not tuned" in caplog.text
    assert scalar.verdict() is None


@pytest.mark.long
def test_a_static_plan_that_failed_once_does_not_end_its_task(tmp_path: Path, bench: Bench) -> None:
    (task,) = tasks("dense, gelu")
    folder = make(tmp_path, task)
    with folder.held():
        assert tune(folder, bench, 3, math.inf, lambda done: None) is not None
        records = folder.path / "database_tuning_record.json"
        records.write_text("".join(records.read_text().splitlines(keepends=True)[1:]))
        folder.fail(task.space.static, "it hung")
        verdict = tune(folder, bench, 3, math.inf, lambda done: None)
    assert verdict is not None
    assert verdict.n_trials == 3
    assert 0 < verdict.static_s < math.inf


def test_a_kernel_computes_the_same_wherever_it_lies(tmp_path: Path) -> None:
    (task,) = tasks("dense, gelu")
    bench = KernelBench(make(tmp_path, task), LLVM, UNIT, 1)
    plan = task.space.next({task.space.static: 1.0}, np.random.default_rng(0))
    assert plan is not None
    bench.build(plan)
    seen: set[int] = set()
    for _ in range(4):
        assert bench.compare() <= 1e-5
        assert addresses(bench).isdisjoint(seen)
        seen |= addresses(bench)
        bench.move()


@pytest.mark.slow
def test_without_time_the_static_rule_stays_and_that_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hasty = tuning(tmp_path, minutes=0.0)
    decided = hasty.run([*PROGRAMS, SCALAR], NoProgress())
    assert "With more [latency] tuning_minutes it goes on" in caplog.text
    assert (decided.plans, decided.n_tasks, decided.n_reached) == ({}, 2, 0)
    runtime = TvmRuntime(tmp_path / "compiled", Timing(), tuning=hasty)
    assert runtime.configuration(DEVICE, 1).schedule == decided.schedule
    module = PROGRAMS[0].module()
    artifact = runtime.compile(module, PROGRAMS[0].examples(0), DEVICE)
    try:
        check(PROGRAMS[0], module, runtime, artifact, DEVICE)
    finally:
        runtime.close()
    assert artifact.provenance["tuned_kernels"] == ""
    assert artifact.provenance["static_kernels"] != ""


@pytest.mark.slow
def test_a_recipe_is_tuned_before_it_is_profiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "recipe.toml"
    path.write_text(
        'name = "x"\n[space]\nname = "digits-resnet"\n[latency]\nschedule = "tuned:3"\n'
        'tuning = "shared"\ntuning_minutes = 0.3\nrounds = 2\n'
    )
    run = open_recipe(path)
    schedule = run.latency.configuration().schedule
    assert schedule.endswith("undecided")
    with run.held():
        table = run.latency.profile(None, NoProgress())
    assert set(table.entries) >= {workload.key for workload in run.space.workloads}
    assert table.configuration.schedule.startswith("tuned:3-static-")
    assert all("tuned_kernels" in table.provenance[key] for key in table.entries)
    again = open_recipe(path).latency
    assert again.configuration() == table.configuration
    assert again.table().entries.keys() == table.entries.keys()
    assert list((tmp_path / "shared").glob("*/*/database_tuning_record.json"))


@pytest.mark.parametrize(
    ("latency", "message"),
    [
        ('runtime = "onnxruntime"\nschedule = "tuned:64"', "schedule 'default' only"),
        ('schedule = "tuned:0"', "tuned:N"),
        ('schedule = "tuned"', "tuned:N"),
        ("tuning_minutes = 5", "drop it"),
        ('schedule = "static"\ntuning = "there"', "drop it"),
    ],
)
def test_recipes_that_cannot_be_tuned_are_refused(
    latency: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f'name = "x"\n[space]\nname = "digits-resnet"\n[latency]\n{latency}\n')
    with pytest.raises(RecipeError, match=message):
        load(path)
