"""Leases on trials: of holders that live, that froze, and whose clock was wrong."""

import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from tailorbird import spaces
from tailorbird.errors import EvaluationError
from tailorbird.latency_tables import Store
from tailorbird.progress import NoProgress
from tailorbird.search.evaluation import trial_queue
from tailorbird.search.evaluation.executors import CHUNK, InProcess, Outcome
from tailorbird.search.evaluation.study import Study
from tailorbird.search.evaluation.trial_queue import TrialQueue
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.storage.databases.connection import stamp

SPACE = spaces.get("digits-resnet", batch=1)
X = np.vstack(list(SPACE.enumerate()))[:40]
QUEUE = trial_queue._QUEUE


@pytest.fixture
def url(store: Store, url: str) -> str:
    """Of a database that is a store already."""
    return url


def value(X: IntArray) -> FloatArray:
    return np.asarray(X.sum(axis=1) / 1e3)


def queue_of(url: str, owner: str, n: int = 0) -> TrialQueue:
    """A queue in which so many trials wait, for their first owner."""
    study = Study(url, "a", SPACE, owner=owner)
    queue = TrialQueue(study._engine, "a", owner)
    if n:
        rows = [tuple(row) for row in X[:n].tolist()]
        queue.put(study._enqueued(rows, {}))
    queue.study = study  # type: ignore[attr-defined]  # whose engine must live
    return queue


def lease_until(queue: TrialQueue, moment: datetime) -> None:
    with queue._engine.begin() as connection:
        connection.execute(sa.update(QUEUE).values(lease_until=stamp(moment)))


def test_a_trial_is_held_by_one(url: str) -> None:
    one, other = queue_of(url, "one", 10), queue_of(url, "other")
    held = one.take(6)
    assert len(held) == 6
    assert len(other.take(6)) == 4
    assert not one.take(1)
    assert one.n_free() == 0
    one.close()
    assert other.n_free() == 6
    assert [trial for _, trial in other.take(10)] == [trial for _, trial in held]
    other.close()


@pytest.mark.parametrize("chunk_s", [0.0, 0.03, 0.06, 0.09])
def test_chunks_stay_whole_however_many_are_leased_together(url: str, chunk_s: float) -> None:
    sizes = []

    def evaluator(rows: IntArray) -> FloatArray:
        sizes.append(len(rows))
        time.sleep(chunk_s)
        return value(rows)

    y = Study(url, "a", SPACE).evaluate(X, InProcess(evaluator), NoProgress())
    np.testing.assert_array_equal(y, value(X))
    assert sizes == [CHUNK] * (len(X) // CHUNK)


def test_a_lease_that_ended_is_another_s_and_not_given_back_by_who_had_it(url: str) -> None:
    frozen, other, third = queue_of(url, "frozen", 1), queue_of(url, "other"), queue_of(url, "3")
    ((row, trial),) = frozen.take(1)
    lease_until(frozen, datetime.now(UTC) - timedelta(seconds=1))
    assert other.take(1) == [(row, trial)]
    frozen.give_back([trial])
    frozen.unlease([trial])
    assert third.n_free() == 0
    assert not third.take(1)
    assert other.end([trial], Outcome(row, 0.5))
    assert not frozen.end([trial], Outcome(row, 0.25))  # it was too late
    assert other.study._outcome_of(row, trial) == Outcome(row, 0.5)  # type: ignore[attr-defined]
    for queue in (frozen, other, third):
        queue.close()


def test_a_lease_of_a_clock_that_was_ahead_is_free(url: str) -> None:
    dead, other = queue_of(url, "dead", 1), queue_of(url, "other")
    dead.take(1)
    lease_until(dead, datetime.now(UTC) + timedelta(days=1))
    assert other.n_free() == 1
    assert not other.held_by_others()
    assert other.take(1)
    dead.close()
    other.close()


def test_leases_of_the_living_are_renewed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_queue, "_LEASE", timedelta(seconds=1.2))
    monkeypatch.setattr(trial_queue, "LEASE_S", 1.2)
    living, other = queue_of(url, "living", 1), queue_of(url, "other")
    assert living.take(1)
    time.sleep(2.5)
    assert not other.take(1)
    living.close()
    assert other.take(1)
    other.close()


def test_two_who_ask_for_the_same_evaluate_it_once(url: str) -> None:
    asked, lock = Counter[tuple[int, ...]](), threading.Lock()

    def slow(X: IntArray) -> FloatArray:
        time.sleep(0.02)
        with lock:
            asked.update(map(tuple, X.tolist()))
        return value(X)

    found: dict[str, FloatArray] = {}

    def ask(owner: str) -> None:
        study = Study(url, "a", SPACE, owner=owner)
        found[owner] = study.evaluate(X, InProcess(slow, 2), NoProgress())

    first = threading.Thread(target=ask, args=("first",))
    first.start()
    while not asked:
        time.sleep(0.005)
    ask("second")
    first.join()
    for y in found.values():
        np.testing.assert_array_equal(y, value(X))
    assert set(asked) == set(map(tuple, X.tolist()))
    assert max(asked.values()) == 1


def test_one_who_asked_for_the_same_and_ended_is_not_waited_for(url: str) -> None:
    def dies(X: IntArray) -> FloatArray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Study(url, "a", SPACE, owner="ended").evaluate(X, InProcess(dies), NoProgress())
    study = Study(url, "a", SPACE, owner="goes on")
    np.testing.assert_array_equal(study.evaluate(X, InProcess(value), NoProgress()), value(X))


def test_who_goes_on_while_others_take_part_repeats_nothing_of_theirs(url: str) -> None:
    """A coordinator that ended amid, and starts again while a helper has rows in hand."""
    asked = Counter[tuple[int, ...]]()

    def ends(X: IntArray) -> FloatArray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Study(url, "a", SPACE, owner="me").evaluate(X, InProcess(ends, 1), NoProgress())
    begun, go_on = threading.Event(), threading.Event()

    def slow(X: IntArray) -> FloatArray:
        asked.update(map(tuple, X.tolist()))
        begun.set()
        go_on.wait(30)
        return value(X)

    def help_() -> None:
        helper = Study(url, "a", SPACE, owner="helper")
        helper.take_part(InProcess(slow, 4), NoProgress())

    def counted(X: IntArray) -> FloatArray:
        asked.update(map(tuple, X.tolist()))
        if sum(asked.values()) > 30:
            go_on.set()
        return value(X)

    helping = threading.Thread(target=help_)
    helping.start()
    assert begun.wait(30)
    y = Study(url, "a", SPACE, owner="me").evaluate(X, InProcess(counted, 1), NoProgress())
    helping.join()
    np.testing.assert_array_equal(y, value(X))
    assert set(asked) == set(map(tuple, X.tolist()))
    assert max(asked.values()) == 1


def test_what_fails_while_taking_part_is_left(url: str) -> None:
    def fails(X: IntArray) -> FloatArray:
        raise OSError("no images here")

    queue_of(url, "asker", 9).close()
    helper = Study(url, "a", SPACE, owner="helper")
    with pytest.raises(EvaluationError, match="the first 3 failed, and are left to them"):
        helper.take_part(InProcess(fails, 1), NoProgress())
    study = Study(url, "a", SPACE, owner="asker")
    np.testing.assert_array_equal(
        study.evaluate(X[:9], InProcess(value), NoProgress()), value(X[:9])
    )
