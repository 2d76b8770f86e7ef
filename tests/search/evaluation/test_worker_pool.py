"""Workers under real faults: their evaluators are a file that the tests write."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listed_work import Listed

from tailorbird.errors import EvaluationError
from tailorbird.search.evaluation.executors import InProcess, Outcome, Row
from tailorbird.search.evaluation.worker_pool import Workers

TOY = '''
import os
import subprocess
import time

import numpy as np


class Factory:
    """Rows (i, kind, d): what goes wrong with row i."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self):
        (self.folder / f"worker-{os.getpid()}").touch()
        print("an evaluator that prints does not disturb results")
        return self.evaluate

    def evaluate(self, X):
        for row in X.tolist():
            with (self.folder / "asked").open("a") as file:
                file.write(f"{row[0]}\\n")
        if (X[:, 1] == 1).any():
            raise RuntimeError("no such network")
        if (X[:, 1] == 2).any():
            os.kill(os.getpid(), 9)
        if (X[:, 1] == 3).any():
            child = subprocess.Popen(["sleep", "600"])
            (self.folder / f"child-{child.pid}").touch()
            time.sleep(600)
        if (X[:, 1] == 5).any() and not (self.folder / "died-once").exists():
            (self.folder / "died-once").touch()
            os._exit(3)
        y = (X[:, 0] + 0.1) / 3
        y[X[:, 1] == 4] = np.nan
        return y


class Broken(Factory):
    def __call__(self):
        raise OSError("no weights")


class Killed(Factory):
    def __call__(self):
        os.kill(os.getpid(), 9)


class KilledOnce(Factory):
    def __call__(self):
        if not (self.folder / "killed-once").exists():
            (self.folder / "killed-once").touch()
            os.kill(os.getpid(), 9)
        return super().__call__()


class Mute(Factory):
    def __call__(self):
        os._exit(5)
'''
FINE, RAISES, DIES, HANGS, NAN, DIES_ONCE = range(6)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "workers_toy.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    import workers_toy  # type: ignore[import-not-found]  # written just now

    yield workers_toy
    sys.modules.pop("workers_toy")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def eventually(condition: Callable[[], bool], limit_s: float = 30.0) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def pids(folder: Path, kind: str) -> list[int]:
    return [int(path.name.partition("-")[2]) for path in folder.glob(f"{kind}-*")]


def rows(*kinds: int) -> list[Row]:
    return list(enumerate(kinds))


def run(executor: Workers | InProcess, asked: Sequence[Row]) -> tuple[list[Outcome], list[Row]]:
    """Outcomes by row, and what was started."""
    begun: list[Row] = []
    outcomes = list(executor.run(Listed(asked, begun)))
    assert sorted(outcome.row for outcome in outcomes) == sorted(asked)
    return sorted(outcomes, key=lambda outcome: outcome.row), begun


@pytest.mark.parametrize(
    "n_workers",
    [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(4, marks=pytest.mark.slow)],
)
@pytest.mark.long
def test_any_number_of_workers_gives_what_this_process_gives(
    toy: Any, tmp_path: Path, n_workers: int
) -> None:
    asked = rows(*[FINE] * 30, RAISES, NAN)
    expected, _ = run(InProcess(toy.Factory(tmp_path).evaluate), asked)
    assert [o.reason for o in expected[30:]] == [
        "RuntimeError: no such network",
        "the evaluator gave nan",
    ]

    def check() -> None:
        outcomes, begun = run(workers, asked)
        assert [(o.row, o.reason) for o in outcomes] == [(o.row, o.reason) for o in expected]
        np.testing.assert_array_equal([o.value for o in outcomes], [o.value for o in expected])
        assert sorted(begun) == asked  # and each once

    with Workers(toy.Factory(tmp_path), n_workers) as workers:
        check()
        check()
        assert eventually(lambda: len(pids(tmp_path, "worker")) == n_workers)  # they stay
        assert all(os.getpgid(pid) == pid for pid in pids(tmp_path, "worker"))
        os.kill(pids(tmp_path, "worker")[0], signal.SIGKILL)
        check()
        search = workers.run(Listed(asked, []))
        next(search)
        search.close()  # with work in hand
        check()
    assert not any(map(is_alive, pids(tmp_path, "worker")))


@pytest.mark.parametrize(
    ("kinds", "n_workers"),
    [
        ((HANGS, FINE, DIES), 1),
        pytest.param((FINE, HANGS, FINE, DIES, FINE, DIES_ONCE), 2, marks=pytest.mark.slow),
    ],
)
@pytest.mark.long
def test_only_the_guilty_row_fails(
    toy: Any, tmp_path: Path, kinds: tuple[int, ...], n_workers: int
) -> None:
    reasons = {
        HANGS: "no value within 1 s",
        DIES: "its worker was killed by SIGKILL, and so did 2 before",
    }
    asked = rows(*kinds)
    with Workers(toy.Factory(tmp_path), n_workers, timeout_s=1.0) as workers:
        outcomes, begun = run(workers, asked)
        assert [outcome.reason for outcome in outcomes] == [reasons.get(kind) for kind in kinds]
        assert sorted(begun) == asked
        assert pids(tmp_path, "child")
        assert not any(map(is_alive, pids(tmp_path, "child")))
        times = (tmp_path / "asked").read_text().split()
        assert times.count(str(kinds.index(DIES))) == 3
    assert not any(map(is_alive, pids(tmp_path, "worker")))


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("Broken", "OSError: no weights"),
        pytest.param("Killed", "it was killed by SIGKILL, as others were", marks=pytest.mark.long),
        pytest.param("Mute", "it ended with status 5", marks=pytest.mark.slow),
    ],
)
def test_one_that_cannot_start_ends_the_search(
    toy: Any, tmp_path: Path, factory: str, reason: str
) -> None:
    with (
        Workers(getattr(toy, factory)(tmp_path), 1) as workers,
        pytest.raises(EvaluationError, match=rf"could not start \({reason}\)"),
    ):
        run(workers, rows(FINE))


@pytest.mark.long
def test_one_that_is_killed_before_it_is_ready_is_replaced(toy: Any, tmp_path: Path) -> None:
    with Workers(toy.KilledOnce(tmp_path), 1) as workers:
        outcomes, _ = run(workers, rows(FINE, FINE))
    assert [outcome.reason for outcome in outcomes] == [None, None]


def test_what_does_not_reach_another_process_is_refused(toy: Any, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="must be picklable"):
        run(Workers(lambda: toy.Factory(tmp_path), 1), rows(FINE))


def test_workers_and_what_they_started_end_when_their_parent_is_killed(
    toy: Any, tmp_path: Path
) -> None:
    def parent() -> None:
        run(Workers(toy.Factory(tmp_path), 1), rows(HANGS))

    process = multiprocessing.get_context("fork").Process(target=parent)
    process.start()
    assert eventually(lambda: bool(pids(tmp_path, "child")))
    everyone = pids(tmp_path, "worker") + pids(tmp_path, "child")
    assert all(map(is_alive, everyone))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert eventually(lambda: not any(map(is_alive, everyone)))
