"""True evaluations, kept as trials of an Optuna study."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice

import numpy as np
import optuna
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState, create_trial

from tailorbird.errors import (
    DamagedStoreError,
    EncodingError,
    EvaluationError,
    StoreError,
    in_a_line,
)
from tailorbird.progress import Advance, Progress
from tailorbird.search.evaluation.executors import Executor, Outcome, Row
from tailorbird.search.evaluation.optuna_storage import existing_engine, made_alone
from tailorbird.search.evaluation.shown_study import Costs, ShownStudy
from tailorbird.search.evaluation.trial_queue import QueuedWork, TrialQueue
from tailorbird.search.evaluation.trials_table import (
    create_waiting,
    finished,
    has_study,
    n_finished,
    wait_again,
)
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.storage.databases.damage import DECODING, WAY_OUT, examined, is_damage
from tailorbird.storage.databases.faults import reason, way_out
from tailorbird.storage.databases.url import masked

_READ_ONE_BY_ONE = 100  # trials, above which all are read together
_SHORTEST_WAIT_S, _LOOKED_EVERY_S = 0.005, 0.5  # for what others finished
_SHOWN_EVERY_S = 2.0
_MOST_FAILURES = 3  # here, before anything was evaluated here
_ASKING = "asking:"  # attributes of a study, by owner


def is_there(url: str, name: str) -> bool:
    """True if a database has a study of a name; nothing is made for the question."""
    engine = existing_engine(url)
    try:
        with engine.begin() as connection:
            return has_study(connection, name)
    except sa.exc.SQLAlchemyError:  # it is about to be made
        return False
    finally:
        engine.dispose()


class Study:
    """Study that remembers evaluations: a network with a value is never evaluated again.

    A row that is to be evaluated is a waiting trial, a running one while it is evaluated, and
    then a complete or a failed one. Whoever asked for it evaluates it, and so do processes that
    take part, on any machine that reaches the database, each what it holds a lease on. They may be
    killed at any time: what was running is evaluated again, when its owner goes on or its lease has
    ended.

    Args:
        url: of the database, for SQLAlchemy.
        name: different weights or images want different names.
        space: of the networks.
        evaluator: what gives the values.
        owner: whose trials are continued; no two processes with one owner may evaluate at a time.

    Attributes:
        space: of the networks.
        failures: reasons by row of what failed since this object was made; it is not tried again.

    Raises:
        EncodingError: if the study is of another space or evaluator.
        StoreError: if the database fails.
    """

    def __init__(
        self,
        url: str,
        name: str,
        space: SearchSpace,
        *,
        evaluator: str = "accuracy",
        owner: str = "",
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = space
        self.failures: dict[Row, str] = {}
        self._taken_in: dict[Row, float] = {}
        self._show: Callable[[Mapping[Row, float]], None] = lambda values: None
        self._owner, self._evaluator = owner, evaluator
        self._url = url
        self._values: dict[Row, float] = {}
        self._queued: dict[Row, int] = {}
        self._seen: set[int] = set()
        self._is_asking: bool | None = None
        self._took_part = False
        self._queues: dict[str | None, TrialQueue] = {}
        with self._told(), made_alone(url) as self._storage:
            self._study = optuna.create_study(
                storage=self._storage, study_name=name, direction="maximize", load_if_exists=True
            )
            self._id = self._storage.get_study_id_from_name(name)
            self._engine = self._storage.engine
            attributes = self._study.user_attrs
            for key, asked in (("space", space.name), ("evaluator", evaluator)):
                if key not in attributes:
                    self._study.set_user_attr(key, asked)
                elif attributes[key] != asked:
                    raise EncodingError(
                        f"The study {name!r} is of the {key} {attributes[key]!r}, but {asked!r} "
                        "was asked for. Use another name or another store."
                    )

    def show(self, name: str, costs: Costs) -> None:
        """Has dashboards show what is evaluated here from now on, in a study of another name.

        Raises:
            StoreError: if the database fails.
        """
        with self._told():
            shown = ShownStudy(self._url, name, self._study.study_name, self.space, costs)
        self._show = shown.add

    def evaluate(self, X: IntArray, executor: Executor, progress: Progress) -> FloatArray:
        """Values (n,) of canonical rows (n, d), in their order; only new ones are evaluated.

        What fails is NaN; `failures` says why. Other processes may take some rows (`take_part`);
        those of one that died are evaluated here once its lease has ended.

        Raises:
            StoreError: if the database fails.
            EvaluationError: if nothing can be evaluated.
        """
        rows: list[Row] = [tuple(row) for row in X.tolist()]
        with self._told():
            with self._queue(self._owner) as queue:
                asked = queue.trials_of()  # before what was finished is read: else it is in neither
            known, _ = self._read()
            # In lexical order, since neighbours that begin alike share work.
            todo = sorted({row for row in rows if row not in known and row not in self.failures})
            self._show({row: known[row] for row in rows if row in known})
            if todo:
                with progress.task("Evaluating", len(todo)) as advance:
                    known |= self._completed(self._enqueued(todo, asked), executor, advance)
        return np.array([known.get(row, np.nan) for row in rows])

    def take_part(self, executor: Executor, progress: Progress) -> tuple[int, int]:
        """Evaluates trials that wait, whoever asked for them, until there is none to take.

        One that fails here is left to whoever asked for it: the fault may be this machine's.

        Returns:
            How many were evaluated here, and how many failed; reasons are in `failures`.

        Raises:
            StoreError: if the database fails.
            EvaluationError: if nothing can be evaluated, or the first few all fail.
        """
        n = n_failed = 0
        with self._told(), self._queue(None) as queue:
            n_free = queue.n_free()
            if not n_free:
                return 0, 0
            work = QueuedWork(queue, n_free)
            with (
                progress.task("Evaluating", n_free) as advance,
                closing(work),
                closing(executor.run(work)) as outcomes,
            ):
                for outcome in outcomes:
                    trials = work.trials.pop(outcome.row)
                    if outcome.reason is None:
                        queue.end(trials, outcome)
                        n += 1
                    else:
                        self.failures[outcome.row] = outcome.reason
                        queue.give_back(trials)
                        n_failed += 1
                    advance(self._named(outcome))
                    self._took_part |= n > 0
                    if not self._took_part and len(self.failures) >= _MOST_FAILURES:
                        raise self._unfit()
        return n, n_failed

    def _unfit(self) -> EvaluationError:
        row, reason = next(iter(self.failures.items()))
        named = self.space.describe(np.array(row))
        return EvaluationError(
            "Networks that others ask for must be evaluated here as well, but the first "
            f"{len(self.failures)} failed, and are left to them (first: {named}: "
            f"{reason.rstrip('.')}). Mend that, and start again."
        )

    def has_free(self) -> bool:
        """True if trials wait that may be evaluated here."""
        with self._told(), self._queue(None) as queue:
            return queue.n_free() > 0

    def has_waiting(self) -> bool:
        """True if trials wait, or are being evaluated."""
        with self._told(), self._queue(None) as queue:
            return bool(queue.waiting() - queue.refused)

    @property
    def is_complete(self) -> bool:
        """True if whoever asked for evaluations has ended; false if nobody has asked yet."""
        with self._told():
            asking = [v for key, v in self._study.user_attrs.items() if key.startswith(_ASKING)]
        return bool(asking) and not any(asking)

    def complete(self) -> None:
        """Says that this owner asks for nothing more, for those who take part."""
        with self._told():
            self._say_asking(False)

    def _say_asking(self, is_asking: bool) -> None:
        if self._is_asking is not is_asking:
            self._study.set_user_attr(f"{_ASKING}{self._owner}", is_asking)
            self._is_asking = is_asking

    def add(self, X: IntArray, y: FloatArray, source: str) -> int:
        """Takes in finite values y (n,) of canonical rows X (n, d) from elsewhere.

        Of a row that is known, or comes again, the first value stays. They are kept as trials as
        well, but another object knows them only if they are added to it: what was not evaluated
        holds as long as it is asked for.

        Args:
            X: rows.
            y: their values.
            source: where they are from.

        Returns:
            How many were new.

        Raises:
            StoreError: if the database fails.
        """
        with self._told():
            known, _ = self._read()
            n_known, kept = len(known), self._kept(source)
            for row, value in zip(map(tuple, X.tolist()), y.tolist(), strict=True):
                if row not in known:
                    known[row] = self._taken_in[row] = value
                    if (row, value) not in kept:
                        attributes = self._attributes(row) | {"source": source}
                        self._study.add_trial(create_trial(value=value, user_attrs=attributes))
        return len(known) - n_known

    def _kept(self, source: str) -> set[tuple[Row, float]]:
        """Rows with values that were taken in from a source before."""
        with self._decoded():
            return {
                (tuple(trial.user_attrs["encoding"]), float(trial.values[0]))
                for trial in self._study.get_trials(deepcopy=False)
                if trial.user_attrs.get("source") == source and trial.state == TrialState.COMPLETE
            }

    def _read(self) -> tuple[dict[Row, float], dict[Row, int]]:
        """Values by row, and the trials of this owner that are not finished."""
        with self._decoded():
            return self._known_and_queued()

    @contextmanager
    def _decoded(self) -> Iterator[None]:
        """Turns what trials raise that nobody wrote into an error with a sentence."""
        try:
            yield
        except DECODING as error:
            found = examined(self._url, in_a_line(error))
            raise DamagedStoreError(
                f"The store {masked(self._url)} was damaged: its study holds what no evaluation "
                f"writes ({found}). Move it away, or bring back a copy."
            ) from error

    def _known_and_queued(self) -> tuple[dict[Row, float], dict[Row, int]]:
        """Reads all trials the first time, and what was finished meanwhile later."""
        if self._seen and n_finished(self._engine, self._id) == len(self._seen):
            return self._values | self._taken_in, self._queued
        ended = finished(self._engine, self._id) - self._seen
        if self._seen and len(ended) < _READ_ONE_BY_ONE:
            trials = [self._storage.get_trial(trial) for trial in sorted(ended)]
        else:
            trials = self._study.get_trials(deepcopy=False)
        for trial in trials:
            attributes = trial.user_attrs
            if "encoding" not in attributes or "source" in attributes:
                continue  # people may add trials of their own; what is taken in counts below
            row: Row = tuple(attributes["encoding"])
            if trial.state == TrialState.COMPLETE:
                self._values.setdefault(row, float(trial.values[0]))
            elif not trial.state.is_finished() and attributes.get("owner") == self._owner:
                self._queued[row] = self._storage.get_trial_id_from_study_id_trial_number(
                    self._id, trial.number
                )
        self._seen |= ended
        return self._values | self._taken_in, self._queued

    def _enqueued(self, rows: Sequence[Row], asked: Mapping[Row, int]) -> dict[Row, int]:
        """Trials of rows: those that wait already, for anybody, and new ones."""
        self._queued |= {row: asked[row] for row in rows if row in asked}
        new = [row for row in rows if row not in self._queued]
        if new:
            attributes = [self._attributes(row) for row in new]
            trials = create_waiting(self._engine, self._id, attributes)
            self._queued.update(zip(new, trials, strict=True))
        return {row: self._queued[row] for row in rows}

    def _attributes(self, row: Row) -> dict[str, object]:
        text = self.space.describe(np.array(row))
        return {"encoding": row, "architecture": text, "owner": self._owner}

    def _completed(
        self, trials: dict[Row, int], executor: Executor, advance: Advance
    ) -> dict[Row, float]:
        """Evaluates trials; values of rows that did not fail, the others join `failures`."""
        values: dict[Row, float] = {}
        n_shown, shown_at = 0, time.monotonic()
        for outcome in self._asked_for(trials, executor):
            self._seen.add(self._queued.pop(outcome.row))
            if outcome.reason is None:
                values[outcome.row] = self._values[outcome.row] = outcome.value
            else:
                self.failures[outcome.row] = outcome.reason
            advance(self._named(outcome))
            if time.monotonic() - shown_at > _SHOWN_EVERY_S:
                self._show(dict(islice(values.items(), n_shown, None)))
                n_shown, shown_at = len(values), time.monotonic()
        self._show(dict(islice(values.items(), n_shown, None)))
        return values

    def _named(self, outcome: Outcome) -> str:
        if outcome.reason is None:
            return f"{self._evaluator} {outcome.value:.3f}"
        return f"failed: {outcome.reason}"

    def _asked_for(
        self, trials: dict[Row, int], executor: Executor
    ) -> Generator[Outcome, None, None]:
        """Yields the outcome of each trial, by whomever it is evaluated."""
        with self._queue(self._owner) as queue:
            # What was in hand in an earlier life, or when the database failed, waits again: leases
            # of ours that nobody remembers would be renewed forever.
            queue.release()
            with self._engine.begin() as connection:
                wait_again(connection, {*trials.values()} - queue.held_by_others())
            queue.put(trials)
            self._say_asking(True)
            n_free, wait_s = len(trials), _SHORTEST_WAIT_S
            while trials:
                if n_free:
                    yield from self._evaluated_here(queue, n_free, trials, executor)
                    wait_s = _SHORTEST_WAIT_S
                yield from self._of_others(queue, trials)
                n_free = queue.n_free() if trials else 0
                if trials and not n_free:
                    queue.put(trials)  # what another owner asked for, and who may have ended
                    time.sleep(wait_s)
                    wait_s = min(_LOOKED_EVERY_S, 2 * wait_s)

    def _evaluated_here(
        self, queue: TrialQueue, n_free: int, trials: dict[Row, int], executor: Executor
    ) -> Generator[Outcome, None, None]:
        """Yields outcomes until there is nothing to take, and those of others meanwhile."""
        looked_at = time.monotonic()
        with closing(self._outcomes(QueuedWork(queue, n_free), executor)) as outcomes:
            for outcome in outcomes:
                if trials.pop(outcome.row, None) is not None:  # else another was as fast
                    yield outcome
                if time.monotonic() - looked_at > _LOOKED_EVERY_S:
                    yield from self._of_others(queue, trials)
                    looked_at = time.monotonic()

    def _of_others(
        self, queue: TrialQueue, trials: dict[Row, int]
    ) -> Generator[Outcome, None, None]:
        """Yields outcomes of trials that others finished, which are left no more."""
        waiting = queue.waiting() if trials else set()
        for row, trial in [*trials.items()]:
            if trial in waiting:
                continue
            outcome = self._outcome_of(row, trial)
            if outcome is None:
                queue.put(trials)  # should somebody have emptied the queue
                return
            del trials[row]
            yield outcome

    def _outcome_of(self, row: Row, trial: int) -> Outcome | None:
        """What a trial has come to; None if it is not finished."""
        found = self._storage.get_trial(trial)
        if not found.state.is_finished():
            return None
        if found.state == TrialState.COMPLETE:
            return Outcome.of(row, float(found.values[0]))
        return Outcome.failed(row, str(found.user_attrs.get("reason", "it was failed")))

    def _outcomes(self, work: QueuedWork, executor: Executor) -> Generator[Outcome, None, None]:
        """Yields the outcome of each row that is evaluated here, once its trial holds it."""
        with closing(work), closing(executor.run(work)) as outcomes:
            for outcome in outcomes:
                trials = work.trials.pop(outcome.row)
                if work.queue.end(trials, outcome):
                    yield outcome
                else:  # by another, when our lease had ended: what the study holds counts
                    yield self._outcome_of(outcome.row, trials[0]) or outcome

    @contextmanager
    def _queue(self, asker: str | None) -> Iterator[TrialQueue]:
        """The queue of an asker's trials, or of anybody's; what is in hand is given back after."""
        if asker not in self._queues:
            name = self._study.study_name
            self._queues[asker] = TrialQueue(self._engine, name, self._owner, asker)
        try:
            yield self._queues[asker]
        finally:
            self._queues[asker].close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns faults of the database into errors with a sentence."""
        try:
            yield
        except (StorageInternalError, sa.exc.SQLAlchemyError) as error:
            told = reason(error.__cause__ or error)
            if is_damage(told):
                found = examined(self._url, told)
                raise DamagedStoreError(
                    f"The store {masked(self._url)} failed ({found}). {WAY_OUT}"
                ) from error
            otherwise = "What was evaluated before is kept; mend it, then run again."
            raise StoreError(
                f"The store {masked(self._url)} failed ({told}). {way_out(told, otherwise)}"
            ) from error
