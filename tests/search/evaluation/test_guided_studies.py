"""Guided searches whose evaluations are trials of a study: killed, resumed, shared by workers."""

import importlib
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from tailorbird import spaces
from tailorbird.predictors import AccuracyPredictor
from tailorbird.predictors.counted_costs import WorkloadSum
from tailorbird.progress import NoProgress
from tailorbird.search import Objective, ParetoFront, Problem
from tailorbird.search.algorithms.guided.guided import guided
from tailorbird.search.algorithms.guided.history import Unknown
from tailorbird.search.evaluation.executors import Executor, InProcess
from tailorbird.search.evaluation.study import Study
from tailorbird.search.evaluation.worker_pool import Workers

SPACE = spaces.get("macro-mobilenetv2")
N_EVALUATIONS, BATCH, N_KILLS = 60, 6, 10


TOY = '''
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Toy:
    """Accuracies are a sum over choices; one choice cannot be evaluated."""

    log: str
    seconds: float

    def __call__(self, X):
        time.sleep(self.seconds * len(X))
        with Path(self.log).open("a") as log:
            log.writelines(f"{row}\\n" for row in X.tolist())
        weights = np.random.default_rng(0).uniform(0.01, 0.04, X.shape[1])
        return np.where(X[:, 1] == 2, np.nan, 0.5 + (X * weights).sum(axis=1))


@dataclass(frozen=True)
class Factory:
    """Makes the evaluator in a worker."""

    toy: Toy

    def __call__(self):
        return self.toy
'''


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of its own, since workers import what they evaluate with."""
    (tmp_path / "guided_toy.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("guided_toy")


def search(url: str, executor: Executor) -> ParetoFront:
    study = Study(url, "a", SPACE, owner="me")
    learner = AccuracyPredictor(SPACE)
    accuracy = Objective("accuracy", "", "max", learner)
    cost = Objective("mega_macs", "", "min", WorkloadSum.mega_macs(SPACE))
    start = np.unique(SPACE.sample(12, np.random.default_rng(1)), axis=0)
    quiet = NoProgress()
    front, _ = guided(
        Problem(SPACE, (accuracy, cost)),
        [Unknown(accuracy, lambda X: study.evaluate(X, executor, quiet))],
        start=start,
        n_evaluations=N_EVALUATIONS,
        batch=BATCH,
        seed=0,
        progress=quiet,
    )
    return front


def url_in(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    return f"sqlite:///{folder / 'store.sqlite'}"


def complete(url: str) -> set[tuple[int, ...]]:
    trials = optuna.load_study(storage=url, study_name="a").get_trials(deepcopy=False)
    return {tuple(t.user_attrs["encoding"]) for t in trials if t.state == TrialState.COMPLETE}


def undisturbed(folder: Path, toys: Any) -> ParetoFront:
    return search(url_in(folder), InProcess(toys.Toy(str(folder / "log"), 0.0)))


@pytest.mark.slow
def test_a_search_that_is_killed_ten_times_ends_as_one_that_is_not(
    tmp_path: Path, toys: Any
) -> None:
    url, log = url_in(tmp_path / "killed"), tmp_path / "log"
    log.touch()
    context, rng = multiprocessing.get_context("fork"), random.Random(0)
    toy = InProcess(toys.Toy(str(log), 0.02))
    told: list[set[tuple[int, ...]]] = [set()]
    for _ in range(N_KILLS):
        process = context.Process(target=search, args=(url, toy))
        process.start()
        n_wanted = len(log.read_text().splitlines()) + rng.randint(1, 9)
        while process.is_alive() and len(log.read_text().splitlines()) < n_wanted:
            time.sleep(0.005)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        told.append(complete(url))
        assert told[-1] >= told[-2]
    assert 0 < len(told[-1]) < N_EVALUATIONS
    front = search(url, toy)
    np.testing.assert_array_equal(front.X, undisturbed(tmp_path / "undisturbed", toys).X)
    asked = Counter(log.read_text().splitlines())
    for before in told:
        # Once told complete, it is asked for no more: it was asked for once, or again when a kill
        # came between the evaluator and the telling.
        assert all(asked[str(list(row))] >= 1 for row in before)
    n_in_flight = sum(asked.values()) - len(asked)
    failed = sum(count - 1 for row, count in asked.items() if row.split(", ")[1] == "2")
    assert n_in_flight - failed <= N_KILLS * 8  # a chunk each time, at most


@pytest.mark.parametrize(
    "n_workers", [pytest.param(n, marks=pytest.mark.slow) for n in (1, 2)] + [4]
)
@pytest.mark.long
def test_the_number_of_workers_does_not_change_the_front(
    n_workers: int, tmp_path: Path, toys: Any
) -> None:
    factory = toys.Factory(toys.Toy(str(tmp_path / "log"), 0.0))
    with Workers(factory, n_workers, timeout_s=30.0) as workers:
        front = search(url_in(tmp_path / "shared"), workers)
    alone = undisturbed(tmp_path / "alone", toys)
    np.testing.assert_array_equal(front.X, alone.X)
    assert front.history == alone.history
