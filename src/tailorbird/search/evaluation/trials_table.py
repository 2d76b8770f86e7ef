"""Trials in Optuna's tables, many in one transaction: its own storage takes one for each change."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from optuna.trial import TrialState

from tailorbird.search.evaluation.executors import Outcome

_STUDY = sa.table("studies", sa.column("study_id"), sa.column("study_name"))
_TRIAL = sa.table(
    "trials",
    *(sa.column(name) for name in ("trial_id", "number", "study_id")),
    sa.column("state", sa.Enum(TrialState)),
    *(sa.column(name, sa.DateTime) for name in ("datetime_start", "datetime_complete")),
)
_VALUE = sa.table(
    "trial_values",
    *(sa.column(name) for name in ("trial_id", "objective", "value")),
    sa.column("value_type", sa.Enum("FINITE", "INF_POS", "INF_NEG", name="trialvaluetype")),
)
_PARAMETER = sa.table(
    "trial_params",
    *(sa.column(name) for name in ("trial_id", "param_name", "param_value", "distribution_json")),
)
_ATTRIBUTE = sa.table(
    "trial_user_attributes", *(sa.column(name) for name in ("trial_id", "key", "value_json"))
)
_FINISHED = tuple(state for state in TrialState if state.is_finished())
_OPEN = tuple(state for state in TrialState if not state.is_finished())


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial that is complete.

    Attributes:
        values: finite, one for each objective.
        parameters: numbers by which distributions know their values, by name.
        distributions: as Optuna writes them in JSON, by name.
        attributes: written as JSON, by name.
    """

    values: Sequence[float]
    parameters: Mapping[str, int]
    distributions: Mapping[str, str]
    attributes: Mapping[str, object]


def has_study(connection: sa.Connection, name: str) -> bool:
    """True if there is a study of a name."""
    if not sa.inspect(connection).has_table(_STUDY.name):
        return False
    found = sa.select(_STUDY.c.study_id).where(_STUDY.c.study_name == name)
    return connection.scalar(found) is not None


def create_waiting(
    engine: sa.Engine, study: int, attributes: Sequence[Mapping[str, object]]
) -> list[int]:
    """Creates waiting trials.

    Args:
        engine: of the database.
        study: id of their study.
        attributes: of each, which are written as JSON.

    Returns:
        Their ids, in order.
    """
    with engine.begin() as connection:
        _locked(connection, study)
        return _created(connection, study, attributes, {"state": TrialState.WAITING})


def add_finished(engine: sa.Engine, study: int, trials: Sequence[Finished]) -> bool:
    """Adds complete trials to a study by its id, all or none; false if somebody deleted it."""
    now = _now()
    common = {"state": TrialState.COMPLETE, "datetime_start": now, "datetime_complete": now}
    with engine.begin() as connection:
        if not _locked(connection, study):
            return False
        ids = _created(connection, study, [trial.attributes for trial in trials], common)
        both = [*zip(ids, trials, strict=True)]
        values = [
            {"trial_id": i, "objective": objective, "value": value, "value_type": "FINITE"}
            for i, trial in both
            for objective, value in enumerate(trial.values)
        ]
        connection.execute(sa.insert(_VALUE), values)
        parameters = [
            {
                "trial_id": i,
                "param_name": name,
                "param_value": value,
                "distribution_json": trial.distributions[name],
            }
            for i, trial in both
            for name, value in trial.parameters.items()
        ]
        connection.execute(sa.insert(_PARAMETER), parameters)
    return True


def _locked(connection: sa.Connection, study: int) -> bool:
    """Writes at once, and as Optuna does locks a study, since numbers are counted.

    False if there is none.
    """
    itself = sa.update(_STUDY).where(_STUDY.c.study_id == study).values(study_id=study)
    return connection.execute(itself).rowcount > 0


def _created(
    connection: sa.Connection,
    study: int,
    attributes: Sequence[Mapping[str, object]],
    common: Mapping[str, object],
) -> list[int]:
    """Creates trials with what all have in common and with attributes; their ids, in order."""
    last = connection.scalar(
        sa.select(sa.func.max(_TRIAL.c.trial_id)).where(_TRIAL.c.study_id == study)
    )
    n = connection.scalar(
        sa.select(sa.func.count()).select_from(_TRIAL).where(_TRIAL.c.study_id == study)
    )
    assert n is not None
    rows = [{"number": n + i, "study_id": study, **common} for i in range(len(attributes))]
    connection.execute(sa.insert(_TRIAL), rows)
    new = sa.select(_TRIAL.c.trial_id).where(
        _TRIAL.c.study_id == study, _TRIAL.c.trial_id > (last or 0)
    )
    trials = list(connection.scalars(new.order_by(_TRIAL.c.number)))
    values = [
        {"trial_id": trial, "key": key, "value_json": json.dumps(value)}
        for trial, of in zip(trials, attributes, strict=True)
        for key, value in of.items()
    ]
    connection.execute(sa.insert(_ATTRIBUTE), values)
    return trials


def begin(connection: sa.Connection, trials: Collection[int]) -> set[int]:
    """Lets trials run, but for those that are finished; returns those that run."""
    running = (
        sa.update(_TRIAL)
        .where(_TRIAL.c.trial_id.in_([*trials]), _TRIAL.c.state.in_(_OPEN))
        .values(state=TrialState.RUNNING, datetime_start=_now())
        .returning(_TRIAL.c.trial_id)
    )
    return set(connection.scalars(running))


def end(connection: sa.Connection, trial: int, outcome: Outcome) -> bool:
    """Completes a trial, or fails it; false, and nothing done, if it is finished already."""
    state = TrialState.COMPLETE if outcome.reason is None else TrialState.FAIL
    ended = connection.scalar(
        sa.update(_TRIAL)
        .where(_TRIAL.c.trial_id == trial, _TRIAL.c.state.in_(_OPEN))
        .values(state=state, datetime_complete=_now())
        .returning(_TRIAL.c.trial_id)
    )
    if ended is None:
        return False
    if outcome.reason is None:
        value = {"trial_id": trial, "objective": 0, "value": outcome.value, "value_type": "FINITE"}
        connection.execute(sa.insert(_VALUE), value)
    else:
        reason = {"trial_id": trial, "key": "reason", "value_json": json.dumps(outcome.reason)}
        old = _ATTRIBUTE.c.trial_id == trial, _ATTRIBUTE.c.key == "reason"
        connection.execute(sa.delete(_ATTRIBUTE).where(*old))
        connection.execute(sa.insert(_ATTRIBUTE), reason)
    return True


def n_finished(engine: sa.Engine, study: int) -> int:
    """Number of the finished trials of a study."""
    with engine.begin() as connection:
        ended = _TRIAL.c.study_id == study, _TRIAL.c.state.in_(_FINISHED)
        n = connection.scalar(sa.select(sa.func.count()).select_from(_TRIAL).where(*ended))
    assert n is not None
    return n


def finished(engine: sa.Engine, study: int) -> set[int]:
    """Ids of the finished trials of a study."""
    with engine.begin() as connection:
        ended = sa.select(_TRIAL.c.trial_id).where(
            _TRIAL.c.study_id == study, _TRIAL.c.state.in_(_FINISHED)
        )
        return set(connection.scalars(ended))


def wait_again(connection: sa.Connection, trials: Collection[int]) -> None:
    """Lets running trials wait, which no process has in hand."""
    running = _TRIAL.c.trial_id.in_([*trials]), _TRIAL.c.state == TrialState.RUNNING
    connection.execute(sa.update(_TRIAL).where(*running).values(state=TrialState.WAITING))


def _now() -> datetime:
    """The time, as Optuna writes it."""
    return datetime.now(UTC).replace(tzinfo=None)
