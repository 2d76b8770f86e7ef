"""True evaluations, kept as trials of an Optuna study."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import numpy as np
import optuna
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState, create_trial

from tailorbird.errors import DamagedStoreError, EncodingError, StoreError, in_a_line
from tailorbird.progress import Advance, Progress
from tailorbird.search.evaluation.executors import Executor, Outcome, Row
from tailorbird.search.evaluation.optuna_storage import made_alone
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.storage.databases.damage import DECODING, WAY_OUT, examined, is_damage
from tailorbird.storage.databases.faults import reason, way_out
from tailorbird.storage.databases.url import masked


class Study:
    """Study that remembers evaluations: a network with a value is never evaluated again.

    A row that is to be evaluated is a waiting trial, a running one while it is evaluated, and
    then a complete or a failed one. Only the process that made this object writes, and it may be
    killed at any time: what was running is queued again when its owner goes on. Trials of others
    are left to them; what they complete is known from then on.

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
        self._owner, self._evaluator = owner, evaluator
        self._url = url
        with self._told(), made_alone(url) as self._storage:
            self._study = optuna.create_study(
                storage=self._storage, study_name=name, direction="maximize", load_if_exists=True
            )
            self._id = self._storage.get_study_id_from_name(name)
            attributes = self._study.user_attrs
            for key, asked in (("space", space.name), ("evaluator", evaluator)):
                if key not in attributes:
                    self._study.set_user_attr(key, asked)
                elif attributes[key] != asked:
                    raise EncodingError(
                        f"The study {name!r} is of the {key} {attributes[key]!r}, but {asked!r} "
                        "was asked for. Use another name or another store."
                    )

    def evaluate(self, X: IntArray, executor: Executor, progress: Progress) -> FloatArray:
        """Values (n,) of canonical rows (n, d), in their order; only new ones are evaluated.

        What fails is NaN; `failures` says why.

        Raises:
            StoreError: if the database fails.
            EvaluationError: if nothing can be evaluated.
        """
        rows: list[Row] = [tuple(row) for row in X.tolist()]
        with self._told():
            known, queued = self._read()
            # In lexical order, since neighbours that begin alike share work.
            todo = sorted({row for row in rows if row not in known and row not in self.failures})
            if todo:
                with progress.task("Evaluating", len(todo)) as advance:
                    trials = {row: queued.get(row) or self._enqueue(row) for row in todo}
                    known |= self._completed(trials, executor, advance)
        return np.array([known.get(row, np.nan) for row in rows])

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
        """Values by row, and the waiting trials of this owner; what was running waits again."""
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
        known = dict(self._taken_in)
        queued: dict[Row, int] = {}
        for trial in self._study.get_trials(deepcopy=False):
            attributes = trial.user_attrs
            if "encoding" not in attributes or "source" in attributes:
                continue  # people may add trials of their own; what is taken in counts above
            row: Row = tuple(attributes["encoding"])
            if trial.state == TrialState.COMPLETE:
                known.setdefault(row, float(trial.values[0]))
            elif not trial.state.is_finished() and attributes.get("owner") == self._owner:
                queued[row] = self._storage.get_trial_id_from_study_id_trial_number(
                    self._id, trial.number
                )
                if trial.state == TrialState.RUNNING:
                    self._storage.set_trial_state_values(queued[row], TrialState.WAITING)
        return known, queued

    def _enqueue(self, row: Row) -> int:
        waiting = create_trial(state=TrialState.WAITING, user_attrs=self._attributes(row))
        return self._storage.create_new_trial(self._id, waiting)

    def _attributes(self, row: Row) -> dict[str, object]:
        text = self.space.describe(np.array(row))
        return {"encoding": row, "architecture": text, "owner": self._owner}

    def _completed(
        self, trials: Mapping[Row, int], executor: Executor, advance: Advance
    ) -> dict[Row, float]:
        """Runs trials; values of those that did not fail, the others join `failures`."""
        values: dict[Row, float] = {}
        for outcome in self._outcomes(trials, executor):
            if outcome.reason is None:
                values[outcome.row] = outcome.value
                advance(f"{self._evaluator} {outcome.value:.3f}")
            else:
                self.failures[outcome.row] = outcome.reason
                advance(f"failed: {outcome.reason}")
        return values

    def _outcomes(
        self, trials: Mapping[Row, int], executor: Executor
    ) -> Generator[Outcome, None, None]:
        """Yields the outcome of each row, once its trial holds it."""

        def started(rows: Sequence[Row]) -> None:
            for row in rows:
                self._storage.set_trial_state_values(trials[row], TrialState.RUNNING)

        with closing(executor.run(list(trials), started)) as outcomes:
            for outcome in outcomes:
                trial = trials[outcome.row]
                if outcome.reason is None:
                    value = [outcome.value]
                    self._storage.set_trial_state_values(trial, TrialState.COMPLETE, value)
                else:
                    self._storage.set_trial_user_attr(trial, "reason", outcome.reason)
                    self._storage.set_trial_state_values(trial, TrialState.FAIL)
                yield outcome

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
