"""Trials in Optuna's tables, many in one transaction: its own storage takes one for each change."""

import json
from collections.abc import Collection, Mapping, Sequence
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
_ATTRIBUTE = sa.table(
    "trial_user_attributes", *(sa.column(name) for name in ("trial_id", "key", "value_json"))
)
_FINISHED = tuple(state for state in TrialState if state.is_finished())
_OPEN = tuple(state for state in TrialState if not state.is_finished())


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
        # Writes at once, and as Optuna does locks the study: numbers are counted.
        connection.execute(
            sa.update(_STUDY).where(_STUDY.c.study_id == study).values(study_id=study)
        )
        last = connection.scalar(
            sa.select(sa.func.max(_TRIAL.c.trial_id)).where(_TRIAL.c.study_id == study)
        )
        n = connection.scalar(
            sa.select(sa.func.count()).select_from(_TRIAL).where(_TRIAL.c.study_id == study)
        )
        assert n is not None
        common = {"study_id": study, "state": TrialState.WAITING}
        rows = [{"number": n + i, **common} for i in range(len(attributes))]
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
