"""Networks with accuracies as trials of studies that anyone made with Optuna."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import optuna
import sqlalchemy as sa
from optuna.trial import TrialState
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tailorbird.errors import EncodingError, nearest, plain, shown
from tailorbird.search.evaluation.optuna_storage import existing, existing_engine
from tailorbird.search.evaluation.prior_rows import EarlierRows
from tailorbird.spaces import SearchSpace
from tailorbird.storage.databases.faults import reason
from tailorbird.storage.databases.url import masked

_TABLES = {"studies", "trials", "trial_values", "trial_user_attributes", "version_info"}
_NAME = "accuracy"  # of the metric
_AS_CSV = "write its trials to a CSV with the columns of the space and accuracy"


class _Trial(BaseModel):
    """A complete trial, as far as it is read."""

    model_config = ConfigDict(strict=True)
    encoding: list[Annotated[int, Field(ge=-(2**31), lt=2**31)]]
    value: float


@dataclass(frozen=True, slots=True)
class _Stored:
    """A study as its database holds it."""

    directions: tuple[str, ...]  # of the accuracy, or of all if none is told to be one
    space: object
    trials: dict[int, dict[str, object]]


def rows(url: str, name: str, space: SearchSpace) -> EarlierRows:
    """Complete trials of a study, with one value, or one of the name accuracy, that is maximised.

    Args:
        url: of its database, for SQLAlchemy.
        name: of the study.
        space: of the networks.

    Raises:
        EncodingError: if there is no such study, or it does not fit the space.
    """
    source = f"the study {shown(name)} in {_checked(url)}"
    stored = _stored(url, name, source)
    if stored.directions != ("maximize",):
        raise EncodingError(
            f"Earlier evaluations are accuracies, one value that is maximised, but the directions "
            f"of {source} are: {', '.join(stored.directions) or 'none'}. Name one of its metrics "
            f"accuracy, or, if it holds accuracies all the same, {_AS_CSV}."
        )
    if stored.space not in (None, space.name):
        raise EncodingError(
            f"The space of {source} must be {space.name!r}, but it is {shown(stored.space)}."
        )
    trials = {number: _trial(said, number, source) for number, said in stored.trials.items()}
    lengths = {len(one.encoding) for one in trials.values()}
    if lengths != {len(space.variables)}:
        raise EncodingError(
            f"Complete trials of {source} must have an encoding of {len(space.variables)} numbers "
            f"in their user attributes, but there are {len(trials)}, of lengths {sorted(lengths)}."
        )
    X = np.array([one.encoding for one in trials.values()], dtype=np.int64)
    y = np.array([one.value for one in trials.values()])
    return EarlierRows(X, y, source, "trial", tuple(trials))


def _checked(url: str) -> str:
    """A URL without its passwords, if it is one of a database that may be there."""
    try:
        parsed = sa.make_url(url)
        kind = parsed.get_backend_name()
    except (sa.exc.SQLAlchemyError, ValueError):
        raise EncodingError(
            "Studies are named as sqlite:///FILE#STUDY or "
            "postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE#STUDY, but what stands before "
            "the # is no URL of a database."
        ) from None
    if kind not in ("sqlite", "postgresql"):
        raise EncodingError(
            f"Studies are read from SQLite and PostgreSQL, but this URL names {kind!r}: {_AS_CSV}."
        )
    if kind == "sqlite" and parsed.query:
        raise EncodingError(
            "An SQLite file is named without options, as sqlite:///FILE#STUDY, but got "
            f"{shown(dict(parsed.query))}. Leave out what follows the question mark."
        )
    if kind == "sqlite" and not _is_file(parsed.database):  # it would be made
        raise EncodingError(f"There is no file {parsed.database or ''!r} to read a study from.")
    return masked(url)


def _is_file(path: str | None) -> bool:
    try:
        return Path(path or "").is_file()
    except (OSError, ValueError):  # too long, for instance
        return False


def _stored(url: str, name: str, source: str) -> _Stored:
    version = "another"
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # its warnings show what a file holds, raw
    try:
        version = _version(url, source)
        storage = existing(url)
        names = optuna.get_all_study_names(storage)
        if name not in names:
            hint = nearest(name, names) if names else "there is none at all."
            raise EncodingError(f"There is no {source[4:]}; {hint}")  # noqa: TRY301
        study = optuna.load_study(storage=storage, study_name=name)
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        directions = tuple(direction.name.lower() for direction in study.directions)
        metrics = study.metric_names or ()
        is_named = len(metrics) == len(directions) and metrics.count(_NAME) == 1
        number = metrics.index(_NAME) if is_named else None
        return _Stored(
            directions if number is None else directions[number : number + 1],
            study.user_attrs.get("space"),
            {
                one.number: {
                    "encoding": one.user_attrs["encoding"],
                    "value": _value(one.values, number),
                }
                for one in trials
                if "encoding" in one.user_attrs
            },
        )
    except EncodingError:
        raise
    except Exception as error:  # whatever drivers and Optuna meet in what others wrote
        if "compatible with the table schema" in str(error):
            raise EncodingError(
                f"Optuna {optuna.__version__} does not read {source}, which Optuna {version} "
                f"wrote. Bring a copy up to date with `optuna storage upgrade`, or {_AS_CSV}."
            ) from error
        raise _unreadable(source, error) from error


def _version(url: str, source: str) -> str:
    """Version of the Optuna that made the tables of a database."""
    with existing_engine(url).connect() as connection:
        if not set(sa.inspect(connection).get_table_names()) >= _TABLES:
            raise EncodingError(f"There are no studies of Optuna where {source} should be.")
        version = connection.scalar(sa.text("SELECT library_version FROM version_info"))
    if version is None:
        raise EncodingError(
            f"There is no telling which Optuna wrote {source}: its table version_info is empty. "
            f"Bring back a copy that is whole, or {_AS_CSV}."
        )
    return plain(str(version))


def _unreadable(source: str, error: Exception) -> EncodingError:
    told = reason(error.__cause__ or error)
    way_out = f"Mend it, or {_AS_CSV}."
    if "locked" in told:
        way_out = "Another program holds it: wait for that, then run again."
    return EncodingError(f"There is no reading {source} ({plain(told.rstrip('.'))}). {way_out}")


def _value(values: object, number: int | None) -> object:
    """Value of an objective, or the only one; all of them where there is none such."""
    if not isinstance(values, list):
        return values
    if number is None:
        return values[0] if len(values) == 1 else values
    return values[number] if number < len(values) else values


def _trial(said: dict[str, object], number: int, source: str) -> _Trial:
    try:
        return _Trial.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise EncodingError(
            f"Trial {number} of {source} must have whole numbers as its encoding and one value, "
            f"but its {where} is {shown(first['input'])} ({first['msg']})."
        ) from None
