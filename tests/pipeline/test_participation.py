"""Processes that take part in the evaluations of a run elsewhere, and are killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from patience import PATIENCE_S

from tailorbird import spaces
from tailorbird.pipeline.accuracy_sources.function import FunctionAccuracy
from tailorbird.pipeline.opening import open_recipe
from tailorbird.progress import NoProgress
from tailorbird.search.evaluation.study import Study

Tailorbird = Callable[..., tuple[int, str, str]]

pytestmark = [
    pytest.mark.usefixtures("locks_of_its_own"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

RECIPE = """
name = "shared"
[space]
name = "digits-resnet"
max_stitches = 2
[device]
name = "epyc-avx512"
batch = 16
[latency]
{store}
[accuracy]
{accuracy}
predictor = "ridge"
evaluations = {evaluations}
[search]
population = 8
generations = 2
"""

SCORES = """
import os
import time
from pathlib import Path


def score(architecture):
    time.sleep(float(os.environ.get("SCORE_S", "0.001")))
    with Path({log!r}).open("a") as log:
        log.write(f"{{os.getpid()}} {{architecture.text}}\\n")
    return 0.5 + len(architecture.text) / 1000 + sum(map(ord, architecture.text)) % 97 / 1000


def fails(architecture):
    raise OSError("no images on this machine")
"""


def write(folder: Path, store: str = "", function: str = "score", evaluations: int = 120) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "own_scores.py").write_text(SCORES.format(log=str(folder / "log")))
    (folder / "r.toml").write_text(
        RECIPE.format(
            store=f'store = "{store}"' if store else "",
            accuracy=f'function = "own_scores:{function}"',
            evaluations=evaluations,
        )
    )


COMMAND = """
from datetime import timedelta

from tailorbird.cli.app import main
from tailorbird.search.evaluation import trial_queue

trial_queue.LEASE_S = 15.0
trial_queue._LEASE = timedelta(seconds=trial_queue.LEASE_S)
main()
"""
"""The command line, which waits for less long for what killed processes held."""


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def evaluated(folder: Path) -> list[tuple[int, str]]:
    """Processes and networks, in the order in which they were evaluated."""
    log = folder / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(pid), text) for pid, _, text in (line.partition(" ") for line in lines)]


def wait_for(condition: Callable[[], bool], *processes: subprocess.Popen[str]) -> None:
    """Waits for a condition, or for the end of one of the processes, which is a failure."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        for process in processes:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


@pytest.mark.long
def test_two_of_four_are_killed_and_nothing_is_lost(
    tmp_path: Path, url: str, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    write(alone)
    write(together, url)
    monkeypatch.chdir(alone)
    code, expected, err = tailorbird("search", "r.toml", "--json")
    assert code == 0, err
    monkeypatch.setenv("SCORE_S", "0.4")  # longer than all take to start
    with (
        started(together, "evaluate", "r.toml", "--json") as first,
        started(together, "evaluate", "r.toml", "--json") as second,
        started(together, "evaluate", "r.toml", "--json") as third,
        started(together, "evaluate", "r.toml", "--json") as fourth,
        started(together, "search", "r.toml", "--json") as search,
    ):
        helpers = (first, second, third, fourth)
        wait_for(
            lambda: {pid for pid, _ in evaluated(together)} >= {p.pid for p in helpers},
            *helpers,
            search,
        )
        for one in (first, third):
            os.kill(one.pid, signal.SIGKILL)
        out, err = search.communicate(timeout=PATIENCE_S)
        assert search.returncode == 0, err
        ended = [one.communicate(timeout=PATIENCE_S) for one in (second, fourth)]
    assert json.loads(out) == json.loads(expected)
    parts = [json.loads(text) for text, _ in ended]
    assert all(part["is_complete"] and not part["n_failed"] for part in parts)
    networks = Counter(text for _, text in evaluated(together))
    assert {*networks} == {text for _, text in evaluated(alone)}
    twice = {text for text, n in networks.items() if n > 1}
    in_hand = {text for pid, text in evaluated(together) if pid in (first.pid, third.pid)}
    assert twice <= in_hand
    assert len(twice) <= 2
    assert max(networks.values()) <= 2
    pids = Counter(pid for pid, _ in evaluated(together))
    assert pids[second.pid] == parts[0]["n_evaluated"] > 0
    assert pids[fourth.pid] == parts[1]["n_evaluated"] > 0
    assert set(pids) == {search.pid, *(helper.pid for helper in helpers)}


@pytest.mark.long
def test_what_fails_here_alone_is_left_to_whoever_asked(
    tmp_path: Path, url: str, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without what a function needs, which opens it by its text all the same."""
    write(tmp_path, url, evaluations=60)
    scores = tmp_path / "own_scores.py"
    needs = 'if "BROKEN" in os.environ:\n        raise OSError("no images here")\n    time.sleep'
    scores.write_text(scores.read_text().replace("time.sleep", needs, 1))
    monkeypatch.setenv("SCORE_S", "0.3")
    with started(tmp_path, "search", "r.toml", "--json") as search:
        wait_for(lambda: len(evaluated(tmp_path)) > 1, search)
        monkeypatch.setenv("BROKEN", "1")
        with started(tmp_path, "evaluate", "r.toml") as broken:
            _, told = broken.communicate(timeout=PATIENCE_S)
        _, err = search.communicate(timeout=PATIENCE_S)
    assert broken.returncode == 1
    assert "3 failed, and are left to them" in told
    assert "no images here" in told
    assert search.returncode == 0, err
    assert "could not be evaluated" not in err
    assert len({text for _, text in evaluated(tmp_path)}) == len(evaluated(tmp_path))


@pytest.mark.long
def test_work_is_no_idleness(
    tmp_path: Path, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A helper that works for longer than it would wait, before a gap."""
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    source = open_recipe("r.toml", NoProgress()).accuracy
    assert isinstance(source, FunctionAccuracy)
    source.folder.mkdir(parents=True)
    name = source.study_name("validation")
    study = Study(source.url(), name, source.space, evaluator=source.measure, owner="asker")
    rows = [tuple(row) for row in source.space.landmarks.tolist()]
    with study._queue("asker") as queue:
        queue.put(study._enqueued(rows[:2], {}))
    study._say_asking(True)
    monkeypatch.setenv("SCORE_S", "1.0")

    def asks_later() -> None:
        wait_for(lambda: not queue.waiting())
        time.sleep(0.4)
        with study._queue("asker"):
            queue.put(study._enqueued(rows[2:], {}))
        wait_for(lambda: not queue.waiting())
        study.complete()

    asking = threading.Thread(target=asks_later)
    asking.start()
    part = source.take_part(1.2, NoProgress())
    asking.join()
    assert part.is_complete
    assert part.n_evaluated == len(rows)


def test_it_ends_when_nothing_comes(
    tmp_path: Path, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, out, err = tailorbird("evaluate", "r.toml", "--idle", "0.5")
    assert code == 0, err
    assert out == "0 networks were evaluated here: nothing came for too long.\n"
    assert not (tmp_path / "runs").exists()  # nothing was made for the question


def test_tables_are_not_evaluated(
    tmp_path: Path, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    text = (tmp_path / "r.toml").read_text()
    table = 'table = "own.csv"'
    text = text.replace('function = "own_scores:score"', table).replace("evaluations = 120", "")
    (tmp_path / "r.toml").write_text(text)
    space = spaces.get("digits-resnet", batch=16, max_stitches=2)
    X = space.sample(9, np.random.default_rng(0))
    lines = [f"{space.describe(row)},{0.5 + i / 100}" for i, row in enumerate(np.unique(X, axis=0))]
    (tmp_path / "own.csv").write_text("\n".join(["architecture,accuracy", *lines, ""]))
    monkeypatch.chdir(tmp_path)
    code, _, err = tailorbird("evaluate", "r.toml")
    assert code == 2
    assert "cannot be evaluated anew" in err
