import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from fake_runtime import FakeRuntime
from torch import nn

from tailorbird.errors import FaultyMachineError, MeasurementError
from tailorbird.latency_tables import Configuration, Device, Profiler, Program, Samples, Store
from tailorbird.latency_tables.profiling import interleaving
from tailorbird.latency_tables.profiling.drift_reference import Reference
from tailorbird.latency_tables.profiling.interleaving import EXTRA_TRIES
from tailorbird.latency_tables.profiling.numerics import check
from tailorbird.latency_tables.runtime import Artifact
from tailorbird.latency_tables.tables.listing import text
from tailorbird.progress import NoProgress
from tailorbird.spaces import CALL
from tailorbird.spaces.stitching import StitchSpace

pytestmark = pytest.mark.usefixtures("locks_of_its_own")


class Row(NamedTuple):
    status: str
    round: int | None
    reference_ms: float | None


class Spying(Store):
    """Remembers what it was told to keep, in order."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.log: list[Row] = []

    def add(
        self,
        key: str,
        configuration: Configuration,
        session: int,
        round_: int,
        samples: Samples,
        reference_ms: float,
        provenance: dict[str, str],
    ) -> None:
        super().add(key, configuration, session, round_, samples, reference_ms, provenance)
        self.log.append(Row("measured", round_, reference_ms))

    def discard(
        self,
        key: str,
        configuration: Configuration,
        session: int,
        round_: int,
        samples: Samples,
        reference_ms: float,
    ) -> None:
        super().discard(key, configuration, session, round_, samples, reference_ms)
        self.log.append(Row("discarded", round_, reference_ms))

    def fail(self, key: str, configuration: Configuration, session: int, reason: str) -> None:
        super().fail(key, configuration, session, reason)
        self.log.append(Row("failed", None, None))


@pytest.fixture
def store(url: str) -> Spying:
    return Spying(url)


def programs_of(space: StitchSpace) -> list[Program]:
    return [Program.of(w) for w in (*space.workloads, CALL)]


def table_of(profiler: Profiler) -> Any:
    return profiler.store.table(profiler.configuration, "local", 1)


def test_every_program_gets_its_rounds(profiler: Profiler, digits_space: StitchSpace) -> None:
    programs = programs_of(digits_space)
    profiler.profile(programs, 3, NoProgress())
    entries = table_of(profiler).entries
    assert [entries[p.key].median_ms for p in programs] == [1.0 + n for n in range(16)]
    assert {len(latency.round_ms) for latency in entries.values()} == {3}


def test_what_is_there_is_not_measured_again(
    profiler: Profiler, runtime: Any, digits_space: StitchSpace
) -> None:
    programs = programs_of(digits_space)
    profiler.profile(programs[:5], 2, NoProgress())
    profiler.profile(programs, 3, NoProgress())
    assert runtime.n_measured == len(programs) * 3
    profiler.profile(programs, 3, NoProgress())
    assert runtime.n_measured == len(programs) * 3


def test_a_gap_that_a_kill_left_is_filled(
    profiler: Profiler, store: Spying, digits_space: StitchSpace
) -> None:
    program = programs_of(digits_space)[0]
    for number in (0, 2):  # the disturbed round 1 was waiting for its next try
        ms = Samples(np.ones(5), np.ones(2))
        store.add(program.key, profiler.configuration, store.begin({}), number, ms, 1.0, {})
    profiler.profile([program], 4, NoProgress())
    taken = store.record(profiler.configuration).accepted[program.key]
    assert [one.number for one in taken] == [0, 2, 1, 3]


def test_rounds_of_one_program_lie_apart(
    profiler: Profiler, store: Spying, digits_space: StitchSpace
) -> None:
    profiler.profile(programs_of(digits_space)[:3], 2, NoProgress())
    assert [row.round for row in store.log] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("fault", ["broken", "wrong", "undefined"])
def test_a_failure_is_a_row_with_its_reason_and_stops_nothing_else(
    profiler: Profiler, runtime: Any, digits_space: StitchSpace, fault: str
) -> None:
    setattr(runtime, fault, frozenset({1}))
    programs = programs_of(digits_space)[:3]
    profiler.profile(programs, 2, NoProgress())
    table = table_of(profiler)
    assert set(table.entries) == {programs[0].key, programs[2].key}
    reason = "it is broken" if fault == "broken" else "outputs differ from torch"
    assert reason in table.failures[programs[1].key]
    setattr(runtime, fault, frozenset())  # what failed is tried again
    profiler.profile(programs, 2, NoProgress())
    assert not table_of(profiler).failures
    assert len(table_of(profiler).entries) == 3


@pytest.mark.parametrize(
    "said",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError(
            "ld: final link failed: No space left on device\ncollect2: error: ld returned 1"
        ),
    ],
)
def test_a_full_disk_fails_no_program(
    profiler: Profiler, runtime: Any, digits_space: StitchSpace, said: Exception
) -> None:
    programs = programs_of(digits_space)[:3]
    profiler.profile(programs[:1], 2, NoProgress())
    compile_ = runtime.compile

    def full(*arguments: Any) -> Artifact:
        if len(runtime.modules) == 2:
            raise MeasurementError.of("it cannot be compiled", said) from said
        return compile_(*arguments)  # type: ignore[no-any-return]

    runtime.compile = full
    with pytest.raises(FaultyMachineError, match=r"not to blame: No space left .* Make room"):
        profiler.profile(programs, 2, NoProgress())
    assert not table_of(profiler).failures
    runtime.compile = compile_
    profiler.profile(programs, 2, NoProgress())
    assert len(table_of(profiler).entries) == 3


def test_progress_counts_every_step(profiler: Profiler, digits_space: StitchSpace) -> None:
    steps: list[str] = []
    totals: list[int] = []

    class Counting(NoProgress):
        def task(self, title: str, total: int) -> Any:
            from contextlib import nullcontext

            totals.append(total)
            return nullcontext(steps.append)

    profiler.profile(programs_of(digits_space), 2, Counting())
    assert totals == [16 * (1 + 2)] == [len(steps)]


def test_weights_and_inputs_are_the_same_every_time(digits_space: StitchSpace) -> None:
    program = programs_of(digits_space)[4]
    x, same, other = (program.examples(seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(x, same)
    assert (x != other).any()
    state, same_state = (program.module().state_dict() for _ in range(2))
    assert all((state[name] == same_state[name]).all() for name in state)


def test_a_program_given_twice_is_measured_once(
    profiler: Profiler, runtime: Any, digits_space: StitchSpace
) -> None:
    program = programs_of(digits_space)[0]
    profiler.profile([program, program], 2, NoProgress())
    assert runtime.n_measured == 2
    assert table_of(profiler).entries[program.key].n_samples == 10


def test_the_timing_lock_is_held_while_anything_is_timed(
    profiler: Profiler, runtime: Any, digits_space: StitchSpace
) -> None:
    held: list[bool] = []

    def ms(*_: int) -> float:
        with next(Path(os.environ["XDG_RUNTIME_DIR"]).glob("tailorbird/timing-*")).open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(True)
            else:
                held.append(False)
        return 1.0

    runtime.ms = runtime.reference_ms = ms
    profiler.profile(programs_of(digits_space)[:2], 2, NoProgress())
    assert len(held) > 4
    assert all(held)


def reference_of(*ms: float) -> Callable[[], float]:
    """Times of the reference, the last for ever; a slot takes one, and the first slot six."""
    times = list(ms)
    return lambda: times.pop(0) if len(times) > 1 else times[0]


def test_a_disturbed_round_is_kept_raw_and_measured_again(
    profiler: Profiler, store: Spying, runtime: Any, digits_space: StitchSpace
) -> None:
    runtime.reference_ms = reference_of(*[1.0] * 5, 1.5, 1.0)
    profiler.profile(programs_of(digits_space)[:1], 1, NoProgress())
    # The slot after the disturbed one has the slow reference before it.
    assert [(row.status, row.reference_ms) for row in store.log] == [
        ("discarded", 1.5),
        ("discarded", 1.5),
        ("measured", 1.0),
    ]
    assert runtime.n_measured == 3
    assert table_of(profiler).entries[programs_of(digits_space)[0].key].n_samples == 5


def test_on_a_machine_that_is_never_quiet_a_round_is_kept_with_its_drift(
    profiler: Profiler, store: Spying, runtime: Any, digits_space: StitchSpace
) -> None:
    runtime.reference_ms = reference_of(*[1.0] * 5, *[1.5] * 5)
    profiler.profile(programs_of(digits_space)[:1], 1, NoProgress())
    assert [(row.status, row.reference_ms) for row in store.log] == [
        ("discarded", 1.5)
    ] * EXTRA_TRIES + [("measured", 1.5)]


def test_a_session_that_is_slow_from_start_to_end_shows_beside_earlier_ones(
    profiler: Profiler, store: Spying, runtime: Any, digits_space: StitchSpace
) -> None:
    first, second = programs_of(digits_space)[:2]
    profiler.profile([first], 2, NoProgress())
    runtime.reference_ms = reference_of(1.2)
    profiler.profile([second], 2, NoProgress())
    entries = table_of(profiler).entries
    assert entries[first.key].is_trusted
    assert entries[second.key].drift == pytest.approx(1.2)
    assert not entries[second.key].is_trusted


def test_a_machine_on_which_nothing_works_voids_nothing(
    profiler: Profiler, store: Spying, runtime: Any, digits_space: StitchSpace
) -> None:
    programs = programs_of(digits_space)[:3]
    profiler.profile(programs, 2, NoProgress())

    def broken() -> float:
        raise MeasurementError("No space left on device")

    runtime.reference_ms = broken
    with pytest.raises(FaultyMachineError, match=r"Nothing can be measured.*No space left"):
        profiler.profile(programs, 3, NoProgress())
    assert {row.status for row in store.log} == {"measured"}
    assert len(store.table(profiler.configuration, "local", 2).entries) == 3


def test_small_changes_of_the_reference_disturb_nothing(
    profiler: Profiler, store: Spying, runtime: Any, digits_space: StitchSpace
) -> None:
    runtime.reference_ms = reference_of(*[1.0, 1.02, 1.04, 1.01] * 20)
    profiler.profile(programs_of(digits_space)[:4], 3, NoProgress())
    assert {row.status for row in store.log} == {"measured"}


@pytest.mark.parametrize("slow_ms", [1.2, 2.0])
def test_what_was_measured_on_a_machine_slow_from_the_start_does_not_count(
    profiler: Profiler, store: Spying, runtime: Any, digits_space: StitchSpace, slow_ms: float
) -> None:
    program = programs_of(digits_space)[0]
    runtime.reference_ms = reference_of(*[slow_ms] * 7, 1.0)
    runtime.ms = lambda n: 7.0 if runtime.n_measured > 2 else 14.0
    profiler.profile([program], 4, NoProgress())
    table = table_of(profiler)
    assert "failed" in [row.status for row in store.log]
    assert set(table.entries[program.key].round_ms) == {7.0}
    assert len(table.entries[program.key].round_ms) == 4
    assert not table.failures


def test_an_old_reference_is_measured_again_before_a_slot(
    runtime: Any, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(
        "tailorbird.latency_tables.profiling.drift_reference.time.monotonic", lambda: now
    )
    reference = Reference(runtime, device)
    reference.before()
    n = len(reference.ms)
    now += 0.5
    reference.before()
    assert len(reference.ms) == n
    now += 1.0
    reference.before()
    assert len(reference.ms) == n + 1


def test_one_lucky_reference_condemns_nothing(
    profiler: Profiler, store: Spying, runtime: Any, digits_space: StitchSpace
) -> None:
    runtime.reference_ms = reference_of(*[1.0] * 12, 0.5, 1.0)
    profiler.profile(programs_of(digits_space)[:4], 6, NoProgress())
    assert {row.status for row in store.log} == {"measured"}


def test_a_round_is_not_kept_by_who_lost_the_claim(
    profiler: Profiler,
    store: Spying,
    runtime: Any,
    digits_space: StitchSpace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interleaving, "LEASE_S", -1.0)  # over as soon as it is taken
    monkeypatch.setattr("tailorbird.latency_tables.profiling.profiler._WAIT_S", 0.01)
    program = programs_of(digits_space)[0]
    stolen: list[set[str]] = []

    def ms(number: int) -> float:
        if runtime.n_measured == 2:
            store, configuration = profiler.store, profiler.configuration
            stolen.append(store.claim([program.key], configuration, "a thief", 0.2))
        return 1.0

    runtime.ms = ms
    profiler.profile([program], 3, NoProgress())
    assert stolen == [{program.key}]
    assert runtime.n_measured == 4  # one was dropped, and done after the thief's lease
    assert [row.status for row in store.log] == ["measured"] * 3


def test_a_round_is_not_doubled_by_who_lost_the_claim_to_one_that_is_done(
    profiler: Profiler,
    store: Spying,
    runtime: Any,
    digits_space: StitchSpace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interleaving, "LEASE_S", -1.0)  # as after a compilation of minutes
    program = programs_of(digits_space)[0]

    def ms(number: int) -> float:
        if runtime.n_measured == 1:
            configuration, session = profiler.configuration, store.begin({})
            assert store.claim([program.key], configuration, "a thief", 60)
            for round_ in range(3):
                one = Samples(np.ones(5), np.ones(5))
                store.add(program.key, configuration, session, round_, one, 1.0, {})
            store.release([program.key], configuration, "a thief")
        return 1.0

    runtime.ms = ms
    profiler.profile([program], 3, NoProgress())
    assert [row.status for row in store.log] == ["measured"] * 3


def test_workloads_take_turns_with_copies_as_large_as_a_network(
    profiler: Profiler, runtime: Any
) -> None:
    copies: list[int] = []
    measure = runtime.measure

    def counted(artifact: Any, inputs: Any, device: Any, n_copies: int) -> Samples:
        if artifact.path.name != "reference":
            copies.append(n_copies)
        samples: Samples = measure(artifact, inputs, device, n_copies)
        return samples

    runtime.measure = counted
    for n, network_bytes in enumerate((0, 79, 80, 81, 10**9)):
        build = partial(nn.Linear, 4, 4)  # 80 bytes
        program = Program(f"layer {n}", build, ((1, 4),), network_bytes)
        profiler.profile([program], 1, NoProgress())
    profiler.profile([Program("no weights", nn.Identity, ((1, 4),), 10**9)], 1, NoProgress())
    assert copies == [1, 1, 1, 2, 256, 1]


def test_a_program_with_other_outputs_than_torch_is_refused(runtime: Any, device: Device) -> None:
    program = Program("layer", partial(nn.Linear, 4, 4), ((1, 4),))
    artifact = runtime.compile(program.module(), program.examples(0), device)
    check(program, program.module(), runtime, artifact, device)

    class Sometimes(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            last = bool((x == torch.from_numpy(program.examples(2)[0])).all())
            return super().forward(x) * (1.0001 if last else 1.0)

    other = Program("layer", partial(Sometimes, 4, 4), ((1, 4),))
    with pytest.raises(MeasurementError, match=r"outputs differ from torch by 1\.0e-04"):
        check(other, other.module(), runtime, artifact, device)


class Branch(nn.Module):
    """As fresh networks have them: next to nothing shows of what comes before the scale."""

    def __init__(self, scale: float, bug: bool = False) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.full((4,), scale))
        self.bug = bug

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return x + self.scale * (torch.relu(y) if self.bug else y)


class InterleavedRounds(nn.Module):
    """As class tokens, biases and positions start."""

    def __init__(self, bug: bool = False) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(4))
        self.bug = bug

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.shift * (2.0 if self.bug else 1.0)


def test_rows_say_that_outputs_were_not_compared(
    runtime: FakeRuntime, profiler: Profiler, digits_space: StitchSpace
) -> None:
    first, *others = programs_of(digits_space)[:4]
    profiler.profile([first], 2, NoProgress())
    runtime.is_silent = True
    profiler.profile(others, 2, NoProgress())
    record = profiler.store.record(profiler.configuration)
    table = record.table(2)
    assert table.n_uncompared == len(others)
    assert "outputs" not in table.provenance[first.key]
    assert {table.provenance[one.key]["outputs"] for one in others} == {"not compared with torch"}
    assert text(record, 2).endswith("Outputs of 3 programs were not compared with torch.")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (partial(Branch, 1e-6), partial(Branch, 1e-6, bug=True)),
        (partial(Branch, 0.0), partial(Branch, 0.0, bug=True)),
        (InterleavedRounds, partial(InterleavedRounds, bug=True)),
        (partial(nn.BatchNorm1d, 4), nn.Identity),
        (partial(nn.ReLU, inplace=True), nn.Identity),
    ],
)
def test_fresh_weights_and_work_in_place_hide_no_difference(
    runtime: Any, device: Device, right: Callable[[], nn.Module], wrong: Callable[[], nn.Module]
) -> None:
    programs = [Program("layer", build, ((2, 4),)) for build in (right, wrong)]
    artifacts = [runtime.compile(p.module(), p.examples(0), device) for p in programs]
    module = programs[0].module()
    check(programs[0], module, runtime, artifacts[0], device)
    with pytest.raises(MeasurementError, match="outputs differ from torch"):
        check(programs[0], module, runtime, artifacts[1], device)


@pytest.mark.parametrize(("error", "is_right"), [(0.9e-5, True), (1.2e-5, False)])
def test_outputs_may_differ_by_a_hundred_thousandth(
    runtime: Any, device: Device, error: float, is_right: bool
) -> None:
    program = Program("layer", nn.Identity, ((1, 4),))

    def run(artifact: Any, inputs: Any, device: Any) -> tuple[np.ndarray, ...]:
        return tuple(x + error * np.abs(x).max() for x in inputs)

    runtime.run = run
    artifact = Artifact(Path("layer"))
    with nullcontext() if is_right else pytest.raises(MeasurementError, match="differ"):
        check(program, program.module(), runtime, artifact, device)


@pytest.mark.parametrize(
    ("output", "got", "reason"),
    [
        ({}, np.ones(2), "something else than tensors"),
        (torch.ones(2) > 0, np.ones(2) > 0, "something else than tensors"),
        (torch.ones(0), np.ones(0), "is empty"),
    ],
)
def test_what_cannot_be_compared_is_a_measurement_error(
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
    runtime: Any,
    output: object,
    got: np.ndarray,
    reason: str,
) -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> object:
            return output

    program = Program("odd", Odd, ((1, 4),))
    monkeypatch.setattr(type(runtime), "run", lambda *_: (got,))
    with pytest.raises(MeasurementError, match=reason):
        check(program, program.module(), runtime, Artifact(Path("odd")), device)


@pytest.mark.parametrize(
    ("ms", "hot_ms"), [([], []), ([1.0, np.nan], []), ([0.0], []), ([1.0], [-1.0]), ([np.inf], [])]
)
def test_what_is_no_time_is_no_sample(ms: list[float], hot_ms: list[float]) -> None:
    with pytest.raises(MeasurementError):
        Samples(np.array(ms), np.array(hot_ms))


def test_only_float32_is_measured(digits_space: StitchSpace) -> None:
    with pytest.raises(ValueError, match="'f16'"):
        Program.of(replace(digits_space.workloads[0], dtype="f16"))
