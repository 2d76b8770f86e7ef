"""Studies that are killed, interrupted, shared and opened by others."""

import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from tailorbird import spaces
from tailorbird.errors import EncodingError, StoreError
from tailorbird.latency_tables import Store
from tailorbird.progress import NoProgress
from tailorbird.search.evaluation.executors import CHUNK, Executor, InProcess
from tailorbird.search.evaluation.optuna_storage import existing, made_alone
from tailorbird.search.evaluation.study import Study
from tailorbird.search.evaluation.worker_pool import Workers
from tailorbird.spaces import FloatArray, IntArray

SPACE = spaces.get("digits-resnet", batch=1)
EVERYTHING = np.vstack(list(SPACE.enumerate()))
N_KILLS = 10


def value(X: IntArray) -> FloatArray:
    return np.asarray((X @ np.arange(1, X.shape[1] + 1)) / 1e4)


@pytest.fixture
def url(store: Store, url: str) -> str:
    """Of a database that is a store already."""
    return url


def opened(url: str, name: str = "a") -> optuna.Study:
    return optuna.load_study(storage=existing(url), study_name=name)


def states(url: str) -> Counter[str]:
    return Counter(trial.state.name for trial in opened(url).trials)


def test_nothing_is_evaluated_twice_and_ctrl_c_loses_one_chunk(url: str) -> None:
    asked: list[tuple[int, ...]] = []

    def evaluator(X: IntArray) -> FloatArray:
        asked.extend(map(tuple, X.tolist()))
        if len(asked) == 3 * CHUNK:
            raise KeyboardInterrupt
        return value(X)

    X = EVERYTHING[:60]
    with pytest.raises(KeyboardInterrupt):
        Study(url, "a", SPACE).evaluate(X, InProcess(evaluator), NoProgress())
    assert states(url) == {"COMPLETE": 2 * CHUNK, "RUNNING": CHUNK, "WAITING": 60 - 3 * CHUNK}
    again = np.vstack([X[::-1], X[:5]])
    y = Study(url, "a", SPACE).evaluate(again, InProcess(evaluator), NoProgress())
    np.testing.assert_array_equal(y, value(again))
    assert len(asked) == 60 + CHUNK
    assert states(url) == {"COMPLETE": 60}
    Study(url, "b", SPACE).evaluate(X[:1], InProcess(evaluator), NoProgress())
    assert len(asked) == 60 + CHUNK + 1


def test_no_rows_have_no_values(url: str) -> None:
    assert not len(Study(url, "a", SPACE).evaluate(EVERYTHING[:0], InProcess(value), NoProgress()))


@dataclass(frozen=True)
class Logged:
    """Takes its time, and writes down what it was asked before it answers."""

    log: Path
    run: int

    def __call__(self, X: IntArray) -> FloatArray:
        rng = random.Random(int(X.sum()))
        for row in X.tolist():
            time.sleep(rng.uniform(0.002, 0.01))
            with self.log.open("a") as file:
                file.write(json.dumps([self.run, row]) + "\n")
        return value(X)


def in_process(log: Path, run: int) -> Executor:
    return InProcess(Logged(log, run))


TOY = """
import json, random, time
from pathlib import Path
import numpy as np


class Factory:
    def __init__(self, log, run):
        self.log, self.run = log, run

    def __call__(self):
        return self.evaluate

    def evaluate(self, X):
        for row in X.tolist():
            time.sleep(0.05)
            with open(self.log, "a") as file:
                file.write(json.dumps([self.run, row]) + "\\n")
        return (X @ np.arange(1, X.shape[1] + 1)) / 1e4
"""


def by_workers(log: Path, run: int) -> Executor:
    import study_toy  # type: ignore[import-not-found]  # written by the test

    return Workers(study_toy.Factory(str(log), run), 2)


@pytest.mark.parametrize("executor", [in_process, pytest.param(by_workers, marks=pytest.mark.slow)])
@pytest.mark.long
def test_kills_neither_lose_nor_repeat_what_was_completed(
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    executor: Callable[[Path, int], Executor],
) -> None:
    (tmp_path / "study_toy.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    X = EVERYTHING[np.random.default_rng(0).permutation(len(EVERYTHING))[:200]]
    log = tmp_path / "log"
    log.touch()

    def run(number: int) -> None:
        study = Study(url, "a", SPACE, owner="me")
        study.evaluate(X, executor(log, number), NoProgress())

    context, rng = multiprocessing.get_context("fork"), random.Random(0)
    complete: list[dict[tuple[int, ...], float]] = [{}]
    for number in range(N_KILLS):
        n_wanted = len(log.read_text().splitlines()) + rng.randint(0, 24)
        process = context.Process(target=run, args=(number,))
        process.start()
        while len(log.read_text().splitlines()) < n_wanted:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        assert process.is_alive()  # it is in the middle of it
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        try:
            trials = opened(url).trials
        except KeyError:  # killed before there was a study
            trials = []
        told = [t for t in trials if t.state == TrialState.COMPLETE]
        complete.append({tuple(t.user_attrs["encoding"]): t.values[0] for t in told})
        assert len(complete[-1]) == len(told)
        assert complete[-1].items() >= complete[-2].items()
    assert 0 < len(complete[-1]) < len(X)
    run(N_KILLS)
    for number, row in map(json.loads, log.read_text().splitlines()):
        assert tuple(row) not in complete[number]
    assert states(url) == {"COMPLETE": len(X)}  # what was in flight was queued again, not added
    undisturbed = Study(url, "b", SPACE).evaluate(X, InProcess(value), NoProgress())
    kept = Study(url, "a", SPACE).evaluate(X, InProcess(failing), NoProgress())
    np.testing.assert_array_equal(kept, undisturbed)


def failing(X: IntArray) -> FloatArray:
    raise ValueError("not now")


def test_what_fails_is_nan_is_told_and_is_tried_again_in_the_next_run(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    X = EVERYTHING[:20]
    asked: list[tuple[int, ...]] = []

    def evaluator(rows: IntArray) -> FloatArray:
        asked.extend(map(tuple, rows.tolist()))
        if (rows == X[3]).all(axis=1).any():
            raise ValueError("first line\nit cannot be built")
        y = value(rows)
        y[(rows == X[12]).all(axis=1)] = np.nan
        y[(rows == X[13]).all(axis=1)] = np.inf
        return y

    study = Study(url, "a", SPACE)
    y = study.evaluate(X, InProcess(evaluator), NoProgress())
    expected = value(X)
    expected[[3, 12, 13]] = np.nan
    np.testing.assert_array_equal(y, expected)
    assert study.failures == {
        tuple(X[3].tolist()): "ValueError: it cannot be built",
        tuple(X[12].tolist()): "the evaluator gave nan",
        tuple(X[13].tolist()): "the evaluator gave inf",
    }
    n_asked = len(asked)
    np.testing.assert_array_equal(study.evaluate(X, InProcess(value), NoProgress()), expected)
    assert len(asked) == n_asked == 20 + CHUNK  # one chunk was asked again, row by row
    failed = [t for t in opened(url).trials if t.state == TrialState.FAIL]
    assert {t.user_attrs["reason"] for t in failed} == set(study.failures.values())

    again = Study(url, "a", SPACE)
    np.testing.assert_array_equal(again.evaluate(X, InProcess(value), NoProgress()), value(X))
    assert not again.failures
    assert states(url) == {"COMPLETE": 20, "FAIL": 3}


def test_an_evaluator_that_gives_too_few_values_fails(url: str) -> None:
    study = Study(url, "a", SPACE)
    short = InProcess(lambda X: value(X)[1:])
    assert np.isnan(study.evaluate(EVERYTHING[:3], short, NoProgress())).all()
    assert "must give values of shape (1,), but gave (0,)" in next(iter(study.failures.values()))


def test_what_another_owner_left_waiting_is_evaluated_once(url: str) -> None:
    def interrupted(X: IntArray) -> FloatArray:
        raise KeyboardInterrupt

    X = EVERYTHING[:10]
    with pytest.raises(KeyboardInterrupt):
        Study(url, "a", SPACE, owner="one").evaluate(X, InProcess(interrupted), NoProgress())
    y = Study(url, "a", SPACE, owner="two").evaluate(X, InProcess(value), NoProgress())
    np.testing.assert_array_equal(y, value(X))
    owners = Counter((t.user_attrs["owner"], t.state.name) for t in opened(url).trials)
    assert owners == {("one", "COMPLETE"): 10}
    # What another completed is known.
    y = Study(url, "a", SPACE, owner="one").evaluate(X, InProcess(failing), NoProgress())
    np.testing.assert_array_equal(y, value(X))


def test_optuna_sees_what_was_evaluated(url: str) -> None:
    X = EVERYTHING[:4]
    Study(url, "a", SPACE, owner="me", evaluator="own:score").evaluate(
        X, InProcess(value), NoProgress()
    )
    study = opened(url)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.user_attrs == {
        "space": SPACE.name,
        "evaluator": "own:score",
        "asking:me": True,
    }
    assert study.best_value == value(X).max()
    for trial, row, y in zip(study.trials, X, value(X), strict=True):
        assert trial.value == y
        assert trial.user_attrs == {
            "encoding": row.tolist(),
            "architecture": SPACE.describe(row),
            "owner": "me",
        }
        assert trial.datetime_start is not None
        assert trial.datetime_complete is not None
    with made_alone(url) as storage:  # people may add their own
        optuna.load_study(storage=storage, study_name="a").enqueue_trial({"theirs": 1})
    y = Study(url, "a", SPACE, owner="me", evaluator="own:score").evaluate(
        X, InProcess(failing), NoProgress()
    )
    np.testing.assert_array_equal(y, value(X))


def test_a_study_of_another_space_or_evaluator_is_refused(url: str) -> None:
    Study(url, "a", SPACE)
    other = spaces.get("digits-resnet", batch=1, max_stitches=1)
    with pytest.raises(EncodingError, match=r"'a' is of the space '.*=3\)', but '.*=1\)' was"):
        Study(url, "a", other)
    with pytest.raises(EncodingError, match="evaluator 'accuracy', but 'f1' was"):
        Study(url, "a", SPACE, evaluator="f1")


def test_a_study_that_says_nothing_of_its_space_keeps_its_evaluations(url: str) -> None:
    with made_alone(url) as storage:
        old = optuna.create_study(storage=storage, study_name="a", direction="maximize")
    row = tuple(EVERYTHING[7].tolist())
    old.add_trial(optuna.trial.create_trial(value=0.5, user_attrs={"encoding": row}))
    y = Study(url, "a", SPACE).evaluate(EVERYTHING[7:8], InProcess(failing), NoProgress())
    assert y.tolist() == [0.5]


def test_a_file_may_have_braces_in_its_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / '{a}.sqlite'}"
    Study(url, "a", SPACE).evaluate(EVERYTHING[:1], InProcess(value), NoProgress())
    assert [path.name for path in tmp_path.iterdir()] == ["{a}.sqlite"]
    assert states(url) == {"COMPLETE": 1}


def test_a_database_that_fails_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"unable to open database file.*run again"):
        Study(f"sqlite:///{tmp_path / 'no' / 'store.sqlite'}", "a", SPACE)


def test_a_database_that_is_deleted_meanwhile_is_told(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    study = Study(f"sqlite:///{path}", "a", SPACE)

    def deletes(X: IntArray) -> FloatArray:
        path.unlink(missing_ok=True)
        return value(X)

    with pytest.raises(StoreError, match=r"was deleted or moved. Bring it back"):
        study.evaluate(EVERYTHING[:4], InProcess(deletes), NoProgress())
    assert not path.exists()
