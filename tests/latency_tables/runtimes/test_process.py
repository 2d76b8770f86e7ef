"""The worker under real faults: its programs are files that the tests write."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tailorbird.errors import MeasurementError
from tailorbird.latency_tables.runtimes.process.worker import Worker

ANSWERS = """
import json, os, subprocess, sys, time
child = None
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "hang":
        child = subprocess.Popen(["sleep", "600"])
        open("child", "w").write(str(child.pid))
        time.sleep(600)
    if request["do"] == "die":
        print("out of luck", file=sys.stderr)
        os._exit(3)
    if request["do"] == "half":
        print('{"ms": [1.', end="", flush=True)
        os._exit(4)
    if request["do"] == "fail":
        print(json.dumps({"error": "no such thing"}), flush=True)
    else:
        threads = os.environ["TVM_NUM_THREADS"]
        print(json.dumps({"cores": sys.argv[1], "threads": threads}), flush=True)
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Worker]]:
    (tmp_path / "answers.py").write_text(ANSWERS)
    monkeypatch.chdir(tmp_path)
    workers: list[Worker] = []

    def started() -> Worker:
        workers.append(Worker("answers", 1, tmp_path / "worker.log"))
        return workers[-1]

    yield started
    for worker in workers:
        worker.kill()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return state != "Z"


def eventually(condition: Callable[[], bool], limit_s: float = 10.0) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_a_request_is_answered_on_pinned_cores(start: Callable[[], Worker]) -> None:
    answer = start().ask({"do": "answer"}, 10)
    assert answer == {"cores": str(max(os.sched_getaffinity(0))), "threads": "1"}


def test_an_error_is_passed_on_and_the_worker_lives(start: Callable[[], Worker]) -> None:
    worker = start()
    with pytest.raises(MeasurementError, match="no such thing"):
        worker.ask({"do": "fail"}, 10)
    assert worker.ask({"do": "answer"}, 10)


def test_one_that_hangs_is_killed_with_its_children(
    start: Callable[[], Worker], tmp_path: Path
) -> None:
    worker = start()
    began = time.monotonic()
    with pytest.raises(MeasurementError, match=r"no answer within 1 s"):
        worker.ask({"do": "hang"}, 1)
    assert time.monotonic() - began < 5
    child = int((tmp_path / "child").read_text())
    assert eventually(lambda: not is_alive(worker.pid) and not is_alive(child))


def test_one_that_is_frozen_is_killed(start: Callable[[], Worker]) -> None:
    worker = start()
    worker.ask({"do": "answer"}, 10)
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(MeasurementError, match="no answer"):
        worker.ask({"do": "answer"}, 1)
    assert not is_alive(worker.pid)


def test_one_that_dies_says_its_last_words(start: Callable[[], Worker]) -> None:
    worker = start()
    with pytest.raises(MeasurementError, match="status 3: out of luck"):
        worker.ask({"do": "die"}, 10)
    with pytest.raises(MeasurementError, match="ended"):
        worker.ask({"do": "answer"}, 10)


def test_one_that_died_between_requests_is_an_error(start: Callable[[], Worker]) -> None:
    worker = start()
    worker.ask({"do": "answer"}, 10)
    os.kill(worker.pid, signal.SIGKILL)
    assert eventually(lambda: not is_alive(worker.pid))
    with pytest.raises(MeasurementError, match="ended with status -9"):
        worker.ask({"do": "answer"}, 10)


def test_one_that_dies_in_the_middle_of_an_answer_is_an_error(
    start: Callable[[], Worker],
) -> None:
    with pytest.raises(MeasurementError, match="ended with status 4"):
        start().ask({"do": "half"}, 10)


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "answers.py").write_text(ANSWERS)
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from pathlib import Path;"
            "from tailorbird.latency_tables.runtimes.process.worker import Worker;"
            "w = Worker('answers', 1, Path('w.log')); w.ask({'do': 'answer'}, 30);"
            "Path('pid').write_text(str(w.pid)); import time; time.sleep(600)",
        ],
        cwd=tmp_path,
    )
    assert eventually(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
    worker = int((tmp_path / "pid").read_text())
    assert is_alive(worker)
    parent.kill()
    parent.wait()
    assert eventually(lambda: not is_alive(worker))
