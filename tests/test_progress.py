"""What long work says in a file that is no terminal."""

import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import PATIENCE_S

from tailorbird.progress import LineProgress, NoProgress, TerminalProgress

# Reports one step of three, then nothing, as a compiler that hangs.
HANGING = """
import time
from tailorbird.progress import LineProgress
with LineProgress(every_s=0.05, first_s=0.01).task("Profiling", 3) as advance:
    advance("compiled dense")
    time.sleep(600)
"""


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def err(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Waits until standard error matches a pattern; the lines that came since the last match."""

    def matches(pattern: str) -> None:
        text, end = "", time.monotonic() + PATIENCE_S
        while not re.fullmatch(pattern, text) and time.monotonic() < end:
            time.sleep(0.001)
            text += capsys.readouterr().err
            # A line that stands still is told again and again.
            text = "".join(dict.fromkeys(text.splitlines(keepends=True)))
        assert re.fullmatch(pattern, text)

    return matches


def test_lines_tell_what_is_done_what_is_left_and_what_was_last(
    err: Callable[[str], None],
) -> None:
    clock = Clock()
    with LineProgress(every_s=0.02, first_s=0.01, clock=clock).task("Profiling", 5) as advance:
        err("Profiling: 0/5 in 0 s\n")
        clock.now_s = 31.0
        err("(Profiling: 0/5 in 0 s\n)?Profiling: 0/5 in 31 s\n")  # also where nothing advances
        advance("dense")
        advance("conv\x1b[2J")
        err(r"(.*\n)*Profiling: 2/5 in 31 s, 46 s left, last: conv.u001b\[2J\n")
        clock.now_s = 100.0
    err(r"(.*\n)*Profiling: 2/5 in 100 s\n")


def test_what_was_known_before_says_nothing_of_the_pace(err: Callable[[str], None]) -> None:
    clock = Clock()
    with LineProgress(every_s=0.02, first_s=0.3, clock=clock).task("Training", 100) as advance:
        for _ in range(90):
            advance("epoch, trained before")
        err(r"Training: 90/100 in 0 s, last: epoch, trained before\n")
        clock.now_s = 60.0
        advance("epoch")
        err(r"(.*\n)*Training: 91/100 in 60 s, 540 s left, last: epoch\n")


def test_fast_work_is_one_line_and_none_if_nothing_was_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = LineProgress(first_s=30.0, step_s=30.0)
    with progress.step("train"), progress.task("Training", 100) as advance:
        for step in range(100):
            advance(str(step))
    with progress.step("check"), progress.task("Evaluating", 0):
        pass
    assert re.fullmatch(r"Training: 100/100 in \d+ s\n", capsys.readouterr().err)


def test_what_was_done_before_a_failure_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with LineProgress().task("train", 100) as advance:
            advance("one")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert "train: 1/100 in " in capsys.readouterr().err


def test_a_step_has_lines_where_no_piece_of_work_is_open(err: Callable[[str], None]) -> None:
    progress = LineProgress(every_s=0.01, first_s=0.01, step_s=0.01, clock=Clock())
    with progress.step("search"):
        err("search: 0 s so far\n")
        with progress.task("Evaluating", 2):
            err("(search: 0 s so far\n)?Evaluating: 0/2 in 0 s\n")
            time.sleep(0.05)
            err("Evaluating: 0/2 in 0 s\n")
        err("(Evaluating: 0/2 in 0 s\n)?search: 0 s so far\n")
    err("(search: 0 s so far\n)?search took 0 s\n")


def test_no_thread_outlives_its_work() -> None:
    before = threading.active_count()
    progress = LineProgress(every_s=600.0, first_s=600.0, step_s=600.0)
    begin = time.monotonic()
    with progress.step("train"), progress.task("Training", 1):
        assert threading.active_count() == before + 2
    assert threading.active_count() == before
    assert time.monotonic() - begin < 10


def test_lines_are_logged_as_well(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO, "tailorbird"),
        LineProgress(first_s=0.01, clock=Clock()).task("Tuning", 7),
    ):
        end = time.monotonic() + PATIENCE_S
        while not caplog.messages and time.monotonic() < end:
            time.sleep(0.001)
    assert caplog.messages == ["Tuning: 0/7 in 0 s"]


def test_lines_that_nobody_reads_end_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        n_tries = 0

        def write(self, text: str) -> None:
            self.n_tries += 1
            raise BrokenPipeError

    closed = Closed()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", closed)
        with LineProgress(every_s=0.001, step_s=0.001).step("search"):
            end = time.monotonic() + PATIENCE_S
            while closed.n_tries < 3 and time.monotonic() < end:
                time.sleep(0.001)
            patched.undo()
    assert closed.n_tries >= 3


def test_a_process_that_is_killed_has_said_what_it_was_doing(tmp_path: Path) -> None:
    err = tmp_path / "err"
    with (
        err.open("wb") as stream,
        subprocess.Popen([sys.executable, "-c", HANGING], stderr=stream) as process,
    ):
        end = time.monotonic() + PATIENCE_S
        while b"last" not in err.read_bytes() and time.monotonic() < end:
            time.sleep(0.01)
        process.kill()
    assert re.search(r"^Profiling: 1/3 in \d+ s, last: compiled dense$", err.read_text(), re.M)


def test_a_step_changes_nothing_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for progress in (NoProgress(), TerminalProgress()):
        with progress.step("search"):
            pass
    assert capsys.readouterr().err == ""
