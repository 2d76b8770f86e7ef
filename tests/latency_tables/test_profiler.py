import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock, Timeout

from tailorbird.latency_tables import Profiler, Program
from tailorbird.progress import NoProgress
from tailorbird.spaces import CALL
from tailorbird.spaces.stitching import StitchSpace


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


def test_rounds_of_one_program_lie_apart(profiler: Profiler, digits_space: StitchSpace) -> None:
    profiler.profile(programs_of(digits_space)[:3], 2, NoProgress())
    rows = profiler.store._rows(profiler.configuration)
    order = list(dict.fromkeys((row.round, row.key) for row in rows))
    assert [round_ for round_, _ in order] == [0, 0, 0, 1, 1, 1]


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


def test_weights_and_inputs_are_the_same_every_time(
    profiler: Profiler, runtime: Any, digits_space: StitchSpace
) -> None:
    program = programs_of(digits_space)[4]
    first, second = profiler._compile(program), profiler._compile(program)
    np.testing.assert_array_equal(first.inputs[0], second.inputs[0])
    np.testing.assert_array_equal(first.expected[0], second.expected[0])


def test_a_program_given_twice_is_measured_once(
    profiler: Profiler, runtime: Any, digits_space: StitchSpace
) -> None:
    program = programs_of(digits_space)[0]
    profiler.profile([program, program], 2, NoProgress())
    assert runtime.n_measured == 2
    assert table_of(profiler).entries[program.key].n_samples == 10


def test_nothing_is_timed_side_by_side(
    profiler: Profiler, runtime: Any, digits_space: StitchSpace
) -> None:
    lock = FileLock(Path(tempfile.gettempdir()) / "tailorbird-local.lock")
    free: list[bool] = []

    def ms(number: int) -> float:
        try:
            with lock.acquire(timeout=0):
                free.append(True)
        except Timeout:
            free.append(False)
        return 1.0

    runtime.ms = ms
    profiler.profile(programs_of(digits_space)[:2], 2, NoProgress())
    assert free == [False] * 4


def test_only_float32_is_measured(digits_space: StitchSpace) -> None:
    with pytest.raises(ValueError, match="'f16'"):
        Program.of(replace(digits_space.workloads[0], dtype="f16"))
