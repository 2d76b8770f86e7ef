"""Trials that wait in a database, which processes on any machine take under leases."""

import json
import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from tailorbird.search.evaluation.executors import Outcome, Row
from tailorbird.search.evaluation.trials_table import begin, end, wait_again
from tailorbird.storage.databases.connection import clock, stamp, wait_alone

LEASE_S = 60.0
"""Seconds that a lease lasts unless it is renewed; what a killed process had waits so long."""

_AHEAD_S, _MOST_AHEAD = 0.1, 100
_RENEWED = 3  # times in a lease
_LONGEST_LEASES = 10  # times ours: one that ends later is of a clock that was ahead
_FREE = ""
_LEASE = timedelta(seconds=LEASE_S)

_QUEUE = sa.Table(
    "evaluation_queue",
    sa.MetaData(),
    sa.Column("study", sa.String, primary_key=True),
    sa.Column("trial", sa.BigInteger, primary_key=True),
    sa.Column("row", sa.String, nullable=False),
    sa.Column("asker", sa.String, nullable=False),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("lease_until", sa.String, nullable=False),
)


def _is_free(now: datetime) -> sa.ColumnElement[bool]:
    """Condition of trials that nobody holds; a lease that is too long is of a wrong clock."""
    latest = stamp(now + _LONGEST_LEASES * _LEASE)
    return sa.or_(_QUEUE.c.lease_until <= stamp(now), _QUEUE.c.lease_until > latest)


class TrialQueue:
    """Trials of one study that no process has finished, in the order in which they came.

    Args:
        engine: of the database of the study, in which the table is made if it is missing.
        study: name of the study.
        owner: name of this process, which no other living one has.
        asker: owner whose trials are taken; any if None.

    Attributes:
        refused: trials that are not taken, as they failed here.
    """

    def __init__(self, engine: sa.Engine, study: str, owner: str, asker: str | None = None) -> None:
        self._engine, self._study, self._owner = engine, study, owner
        self._ours = _QUEUE.c.study == study
        if asker is not None:
            self._ours &= _QUEUE.c.asker == asker
        with engine.begin() as connection:
            wait_alone(connection)
            connection.execute(sa.schema.CreateTable(_QUEUE, if_not_exists=True))
        self._lease: _Renewal | None = None
        self.refused: set[int] = set()

    def release(self) -> None:
        """Gives back what this owner held in an earlier life."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(_QUEUE)
                .where(_QUEUE.c.study == self._study, _QUEUE.c.owner == self._owner)
                .values(owner=_FREE, lease_until=_FREE)
            )

    def put(self, trials: Mapping[Row, int]) -> None:
        """Lets these trials of this owner wait, and no others of it.

        Those that wait for another owner as well, and that nobody holds, are taken over.
        """
        common = {"study": self._study, "asker": self._owner, "owner": _FREE, "lease_until": _FREE}
        with self._engine.begin() as connection:
            wait_alone(connection)
            of_study = _QUEUE.c.study == self._study
            # Writes first, since readers that turn writers cannot wait.
            adopted = _QUEUE.c.trial == sa.bindparam("adopted")
            ours = sa.update(_QUEUE).where(of_study, adopted, _is_free(clock(connection)))
            asked = [{"adopted": trial} for trial in trials.values()]
            if asked:
                connection.execute(ours.values(asker=self._owner), asked)
            there = set(connection.scalars(sa.select(_QUEUE.c.trial).where(of_study)))
            own = sa.select(_QUEUE.c.trial).where(of_study, _QUEUE.c.asker == self._owner)
            self._delete(connection, {*connection.scalars(own)} - {*trials.values()})
            new = [
                {"trial": trial, "row": json.dumps(row), **common}
                for row, trial in trials.items()
                if trial not in there
            ]
            if new:
                connection.execute(sa.insert(_QUEUE), new)

    def trials_of(self) -> dict[Row, int]:
        """Trials of the study that wait, by row, whoever asked for them."""
        with self._engine.begin() as connection:
            rows = sa.select(_QUEUE.c.row, _QUEUE.c.trial).where(_QUEUE.c.study == self._study)
            return {tuple(json.loads(row)): trial for row, trial in connection.execute(rows)}

    def take(self, n: int) -> list[tuple[Row, int]]:
        """Leases at most n trials that nobody holds, those that came first; they run then.

        What another process finished, and was killed before it said so here, is taken out.
        """
        with self._engine.begin() as connection:
            now = clock(connection)
            free = (
                sa.select(_QUEUE.c.trial)
                .where(
                    self._ours,
                    _is_free(now),
                    _QUEUE.c.trial.not_in(self.refused),
                )
                .order_by(_QUEUE.c.trial)
                .limit(n)
                .with_for_update(skip_locked=True)
                .cte("free")  # which a server reads once
            )
            taken = connection.execute(
                sa.update(_QUEUE)
                .where(_QUEUE.c.study == self._study, _QUEUE.c.trial.in_(sa.select(free.c.trial)))
                .values(owner=self._owner, lease_until=stamp(now + _LEASE))
                .returning(_QUEUE.c.trial, _QUEUE.c.row)
            ).all()
            running = begin(connection, [trial for trial, _ in taken])
            self._delete(connection, {trial for trial, _ in taken} - running)
        if running and self._lease is None:
            self._lease = _Renewal(self)
        if taken and not running:
            return self.take(n)
        return [(tuple(json.loads(row)), trial) for trial, row in sorted(taken) if trial in running]

    def renew(self) -> None:
        """Prolongs the leases of this owner."""
        with self._engine.begin() as connection:
            until = stamp(clock(connection) + _LEASE)
            connection.execute(
                sa.update(_QUEUE)
                .where(_QUEUE.c.study == self._study, _QUEUE.c.owner == self._owner)
                .values(lease_until=until)
            )

    def end(self, trials: Collection[int], outcome: Outcome) -> bool:
        """Completes trials of a row, or fails them, and takes them out.

        Returns:
            True unless one of them was finished by another, whose outcome stays.
        """
        with self._engine.begin() as connection:
            self._delete(connection, trials)  # first, as `take` begins here as well
            written = [end(connection, trial, outcome) for trial in sorted(trials)]
        return all(written)

    def _delete(self, connection: sa.Connection, trials: Collection[int]) -> None:
        delete = sa.delete(_QUEUE).where(
            _QUEUE.c.study == self._study, _QUEUE.c.trial == sa.bindparam("gone")
        )
        if trials:
            connection.execute(delete, [{"gone": trial} for trial in sorted(trials)])

    def waiting(self) -> set[int]:
        """Trials that may be taken from here and are not finished, leased or not."""
        with self._engine.begin() as connection:
            return set(connection.scalars(sa.select(_QUEUE.c.trial).where(self._ours)))

    def held_by_others(self) -> set[int]:
        """Trials that other living processes have in hand."""
        with self._engine.begin() as connection:
            held = sa.select(_QUEUE.c.trial).where(
                self._ours,
                _QUEUE.c.owner != self._owner,
                ~_is_free(clock(connection)),
            )
            return set(connection.scalars(held))

    def n_free(self) -> int:
        """Number of trials that may be taken now."""
        with self._engine.begin() as connection:
            free = sa.select(_QUEUE.c.trial).where(self._ours, _is_free(clock(connection)))
            return len({*connection.scalars(free)} - self.refused)

    def give_back(self, trials: Collection[int]) -> None:
        """Leaves trials that failed here to others."""
        self.refused.update(trials)
        self.unlease(trials)

    def unlease(self, trials: Collection[int]) -> None:
        """Lets trials wait again that are still held here."""
        if not trials:
            return
        with self._engine.begin() as connection:
            held = (
                sa.update(_QUEUE)
                .where(self._ours, _QUEUE.c.trial.in_([*trials]), _QUEUE.c.owner == self._owner)
                .values(owner=_FREE, lease_until=_FREE)
                .returning(_QUEUE.c.trial)
            )
            wait_again(connection, [*connection.scalars(held)])

    def close(self) -> None:
        """Ends the renewal of leases, and gives them back."""
        if self._lease is not None:
            self._lease.end()
            self._lease = None
            self.release()


class QueuedWork:
    """Rows that wait in a queue, as executors take them.

    Args:
        queue: of trials.
        n: rows that may be left.

    Attributes:
        queue: of trials.
        trials: those that were taken and are not finished, by row, of which several may have asked.
    """

    def __init__(self, queue: TrialQueue, n: int) -> None:
        self.queue = queue
        self.trials: dict[Row, list[int]] = {}
        self._n = n
        self._ahead: deque[Row] = deque()
        self._taken_at = 0.0
        self._n_taken = 0

    def __len__(self) -> int:
        return self._n

    def take(self, n: int) -> list[Row]:
        """Takes at most n rows, which nobody else has.

        Where rows take milliseconds, those of the next moment are leased together, whole numbers of
        n: the database would be asked more often than it answers.
        """
        if not self._ahead:
            now = time.monotonic()
            row_s = (now - self._taken_at) / self._n_taken if self._n_taken else math.inf
            n_ahead = min(_MOST_AHEAD, int(_AHEAD_S / max(row_s, 1e-6)))
            leased = self.queue.take(n * max(1, n_ahead // n))
            self._taken_at, self._n_taken = now, len(leased)
            for row, trial in leased:
                if row not in self.trials:
                    self._ahead.append(row)
                self.trials.setdefault(row, []).append(trial)
            self._n = max(0, self._n - len(leased)) if leased else 0
        return [self._ahead.popleft() for _ in range(min(n, len(self._ahead)))]

    def close(self) -> None:
        """Lets rows wait again that nobody has begun with."""
        self.queue.unlease([trial for row in self._ahead for trial in self.trials.pop(row)])
        self._ahead.clear()


class _Renewal:
    """A thread that renews the leases of a queue, as long as there is the queue."""

    def __init__(self, queue: TrialQueue) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=_renew, args=(weakref.ref(queue), self._ended), daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self._thread.join()


def _renew(queue: "weakref.ref[TrialQueue]", ended: threading.Event) -> None:
    while not ended.wait(LEASE_S / _RENEWED):
        living = queue()
        if living is None:
            return
        try:
            living.renew()
        except sa.exc.SQLAlchemyError:
            continue  # whoever works with the database says so; the lease lasts for two more tries
        finally:
            del living
