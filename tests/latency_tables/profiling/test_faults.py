"""Profilers that are killed, that share a store, and that meet programs which do not work."""

import json
import multiprocessing
import os
import random
import time
from functools import partial
from itertools import pairwise
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import torch
from patience import PATIENCE_S
from torch import nn

from tailorbird.errors import MeasurementError
from tailorbird.latency_tables import (
    Artifact,
    Configuration,
    Device,
    Profiler,
    Program,
    Samples,
    Store,
    Timing,
)
from tailorbird.latency_tables.devices.device import NOWHERE
from tailorbird.latency_tables.profiling import interleaving
from tailorbird.latency_tables.runtime import Tensors
from tailorbird.latency_tables.runtimes.process.workbench import Workbench
from tailorbird.latency_tables.tables.record import Round
from tailorbird.progress import NoProgress

TIMING = Timing(warmup_ms=1, sample_ms=1, least_samples=5, most_samples=5, limit_s=1.5)


class CheapRuntime:
    """Its worker is a real process; it logs when it timed.

    Every sample is one millisecond, so that no test is disturbed.
    """

    losses: tuple[str, ...] = ()

    def __init__(self, folder: Path, log: Path) -> None:
        self._bench = Workbench("cheap_timer", folder, TIMING)
        self._log = log

    def configuration(self, device: Device, batch: int) -> Configuration:
        return Configuration("a processor", "any", 1, batch, "cheap", "1", "none", "cheap-1")

    def compile(self, module: "nn.Module", inputs: Tensors, device: Device) -> Artifact:
        kind = str(getattr(module, "kind", ""))
        if kind == "uncompilable":
            raise MeasurementError("the compiler gave up")
        path = self._bench.new_path(".layer.npz")
        tensors = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
        np.savez(path, **tensors, kind=np.array(kind))
        return Artifact(path)

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors:
        return self._bench.run(artifact, inputs, device)

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        begin = time.monotonic()
        samples = self._bench.measure(artifact, inputs, device, n_copies)
        line = json.dumps([os.getpid(), begin, time.monotonic()])
        with self._log.open("a") as log:
            log.write(line + "\n")
        return Samples(np.full_like(samples.ms, 1.0), np.full_like(samples.hot_ms, 1.0))

    def close(self) -> None:
        self._bench.close()


pytestmark = [
    pytest.mark.usefixtures("locks_of_its_own"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

ROUNDS = 3
DEVICE = Device("local", "a processor", NOWHERE, 1)


class Kind(nn.Linear):
    """A linear layer whose program has something wrong with it."""

    def __init__(self, kind: str) -> None:
        super().__init__(4, 4)
        self.kind = kind


class Unrunnable(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("not even in torch")


def programs(n: int) -> list[Program]:
    return [Program(f"layer {i}", partial(nn.Linear, 4, 4 + i), ((2, 4),), 1000) for i in range(n)]


def profile(folder: Path, url: str, name: str, n: int, lease_s: float) -> None:
    """What a killed process runs."""
    interleaving.LEASE_S = lease_s
    runtime = CheapRuntime(folder / name, folder / "log")
    try:
        profiler = Profiler(runtime, DEVICE, 1, Store(url))
        profiler.profile(programs(n), ROUNDS, NoProgress())
    finally:
        runtime.close()


@pytest.fixture(autouse=True)
def worker_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)


def start(folder: Path, url: str, name: str, n: int, lease_s: float = 120.0) -> BaseProcess:
    """A profiler in a process that has imported all already."""
    process = multiprocessing.get_context("fork").Process(
        target=profile, args=(folder, url, name, n, lease_s)
    )
    process.start()
    return process


def rounds_of(folder: Path, url: str) -> dict[str, list[Round]]:
    store = Store(url)
    configuration = CheapRuntime(folder / "x", folder / "log").configuration(DEVICE, 1)
    return store.record(configuration).accepted


def assert_nothing_is_lost_or_doubled(folder: Path, url: str, n: int) -> None:
    rounds = rounds_of(folder, url)
    assert set(rounds) == {program.key for program in programs(n)}
    for taken in rounds.values():
        assert sorted(one.number for one in taken if one.number is not None) == list(range(ROUNDS))
        assert {len(one.samples.ms) for one in taken if one.samples} == {5}


def assert_never_timed_at_once(folder: Path) -> set[int]:
    intervals = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    intervals.sort(key=lambda interval: interval[1])
    for (_, _, end), (_, begin, _) in pairwise(intervals):
        assert end <= begin
    return {pid for pid, _, _ in intervals}


@pytest.mark.slow
def test_a_profiler_killed_twenty_times_ends_with_the_table_of_one_never_killed(
    tmp_path: Path, url: str
) -> None:
    rng = random.Random(0)
    n, kills = 48, 0
    kept: dict[str, int] = {}
    while kills < 20:
        process = start(tmp_path, url, "killed", n)
        process.join(rng.uniform(0.1, 1.5))
        if process.exitcode is not None:  # it was done before: more to do
            assert process.exitcode == 0
            assert_nothing_is_lost_or_doubled(tmp_path, url, n)
            n += 16
            continue
        process.kill()
        process.join()
        kills += 1
        now = {key: len(of_key) for key, of_key in rounds_of(tmp_path, url).items()}
        assert all(now[key] >= count for key, count in kept.items())
        assert max(now.values(), default=0) <= ROUNDS
        kept = now
    process = start(tmp_path, url, "killed", n)
    process.join(PATIENCE_S)
    assert process.exitcode == 0
    assert_nothing_is_lost_or_doubled(tmp_path, url, n)


@pytest.mark.long
def test_two_profilers_share_the_work_and_never_time_at_once(tmp_path: Path, url: str) -> None:
    both = [start(tmp_path, url, name, 40) for name in ("first", "second")]
    for process in both:
        process.join(PATIENCE_S)
        assert process.exitcode == 0
    assert_nothing_is_lost_or_doubled(tmp_path, url, 40)
    assert assert_never_timed_at_once(tmp_path) == {process.pid for process in both}


@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.long)])
def test_what_a_killed_profiler_held_is_measured_by_the_other(
    tmp_path: Path, url: str, victim: int
) -> None:
    both = [start(tmp_path, url, name, 32, lease_s=2.0) for name in ("first", "second")]
    end = time.monotonic() + PATIENCE_S
    while not (tmp_path / "log").exists() and time.monotonic() < end:
        time.sleep(0.02)
    both[victim].kill()
    both[1 - victim].join(PATIENCE_S)
    assert both[1 - victim].exitcode == 0
    assert_nothing_is_lost_or_doubled(tmp_path, url, 32)
    assert_never_timed_at_once(tmp_path)


@pytest.mark.long
def test_programs_that_do_not_work_are_rows_with_reasons_and_stop_nothing(
    tmp_path: Path, store: Store
) -> None:
    reasons = {
        "uncompilable": "the compiler gave up",
        "different": "outputs differ from torch by",
        "undefined": "outputs differ from torch by nan",
        "endless": "no answer within",
        "dies": "ended with status 7",
        "unrunnable": "ValueError: not even in torch",
    }
    faulty = [
        Program(kind, Unrunnable if kind == "unrunnable" else partial(Kind, kind), ((2, 4),))
        for kind in reasons
    ]
    good = programs(3)
    runtime = CheapRuntime(tmp_path / "x", tmp_path / "log")
    profiler = Profiler(runtime, DEVICE, 1, store)
    try:
        profiler.profile([*good[:1], *faulty, *good[1:]], ROUNDS, NoProgress())
    finally:
        runtime.close()
    table = store.table(profiler.configuration, "local", ROUNDS)
    assert set(table.entries) == {program.key for program in good}
    assert set(table.failures) == set(reasons)
    for kind, reason in reasons.items():
        assert reason in table.failures[kind]
    assert not list((tmp_path / "x").glob("*.npz"))
