"""Records as rows of a store's tables."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict
from itertools import count
from typing import Any

import numpy as np
import sqlalchemy as sa

from tailorbird.errors import UnfitStoreError
from tailorbird.latency_tables.store.schema import FOOTPRINT, SAMPLE, SESSION
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.record import Record, Round, Session
from tailorbird.latency_tables.tables.samples import Samples
from tailorbird.latency_tables.tables.tries import BareTry
from tailorbird.spaces import FloatArray
from tailorbird.spaces.footprint import Footprint
from tailorbird.storage.databases.connection import clock, stamp

_COSTS = [column.name for column in FOOTPRINT.columns if not column.primary_key]

_IMPORTED = "imported into this store"
"""Mark in the provenance of sessions that came from a file, with when; records do not show it."""

# In one statement, since profilers of two devices may keep that of one program at once.
_KEEP = sa.text(
    f"INSERT INTO footprint (key, {', '.join(_COSTS)}) "
    f"VALUES (:key, {', '.join(f':{name}' for name in _COSTS)}) "
    "ON CONFLICT (key) DO UPDATE "
    f"SET {', '.join(f'{name} = excluded.{name}' for name in _COSTS)}"
)


def read(
    connection: sa.Connection, configuration: Configuration, device: str, space: str
) -> Record:
    """Reads the record of one configuration, with one query per table."""
    of = SAMPLE.c.configuration == configuration.key
    keys = sa.select(SAMPLE.c.key).where(of)
    # Not by when it was taken: clocks are set, and files say anything.
    tries = sa.select(SAMPLE).where(of).order_by(SAMPLE.c.id)
    samples = connection.execute(tries).all()
    counted = connection.execute(sa.select(FOOTPRINT).where(FOOTPRINT.c.key.in_(keys)))
    sessions = {row.id: row for row in connection.execute(sa.select(SESSION))}
    used = {row.session: sessions[row.session] for row in samples}
    return Record(
        device,
        space,
        configuration,
        {row.uid: _session(row) for row in used.values()},
        tuple(_round(row, used[row.session].uid) for row in samples),
        {row.key: Footprint(*row[1:]) for row in counted},
        frozenset(row.uid for row in used.values() if _IMPORTED in row.provenance),
    )


def references(connection: sa.Connection, configuration: Configuration) -> list[float]:
    """Reads the milliseconds of the reference beside each round that was taken here, in order."""
    query = (
        sa.select(SAMPLE.c.reference_ms)
        .where(SAMPLE.c.configuration == configuration.key, SAMPLE.c.reference_ms.is_not(None))
        .where(SAMPLE.c.session.not_in(_imported(connection)))
        .order_by(SAMPLE.c.id)
    )
    return [float(ms) for ms in connection.scalars(query)]


def tries(
    connection: sa.Connection, configuration: Configuration, keys: Sequence[str] | None = None
) -> tuple[list[BareTry], frozenset[str]]:
    """Reads tries without their samples, in order, and which sessions came from files.

    Args:
        connection: is only read.
        configuration: that they were made under.
        keys: of the programs; all if None.
    """
    columns = (SAMPLE.c.key, SAMPLE.c.status, SAMPLE.c.session, SAMPLE.c.round)
    query = sa.select(*columns).where(SAMPLE.c.configuration == configuration.key)
    if keys is not None:
        query = query.where(SAMPLE.c.key.in_(keys))
    rows = connection.execute(query.order_by(SAMPLE.c.id))
    found = [BareTry(key, status, str(session), number) for key, status, session, number in rows]
    return found, frozenset(map(str, _imported(connection)))


def _imported(connection: sa.Connection) -> list[int]:
    """Numbers of the sessions that came from files."""
    sessions = connection.execute(sa.select(SESSION.c.id, SESSION.c.provenance))
    return [number for number, said in sessions if _IMPORTED in said]


def insert(
    connection: sa.Connection,
    one: Round,
    configuration: Configuration,
    session: int,
    number: int | None = None,
) -> None:
    """Inserts one try.

    Args:
        connection: writes.
        one: the try.
        configuration: that it was made under.
        session: number of its session in this database.
        number: its place in the order of the store; the next one if None.
    """
    samples = one.samples
    row: dict[str, Any] = {
        "uid": one.uid,
        "taken": one.taken,
        "key": one.key,
        "configuration": configuration.key,
        "session": session,
        "round": one.number,
        "ms": samples.ms.tolist() if samples else None,
        "hot_ms": samples.hot_ms.tolist() if samples else None,
        "status": one.status,
        "reason": one.reason,
        "reference_ms": one.reference_ms,
        "provenance": dict(one.provenance),
    }
    if number is not None:
        row["id"] = number
    connection.execute(sa.insert(SAMPLE), row)


def keep_footprint(connection: sa.Connection, key: str, footprint: Footprint) -> None:
    """Keeps the costs of a program, which hold on every device, in place of earlier ones."""
    connection.execute(_KEEP, {"key": key, **asdict(footprint)})


def merge(connection: sa.Connection, record: Record, held: Record) -> int:
    """Adds the tries, sessions and footprints that are not there; returns how many tries.

    A failure voids what comes before it. So tries of a program that failed elsewhere, and whose
    rounds here count, are put before all that the store holds. Nobody else may merge meanwhile.

    Args:
        connection: writes.
        record: to be added.
        held: what the store holds of the same configuration.

    Raises:
        UnfitStoreError: if a round is there with other values.
    """
    known_uids = set(connection.scalars(sa.select(SAMPLE.c.uid)))
    known_sessions = {row.uid: row for row in connection.execute(sa.select(SESSION))}
    _refuse_other_values(known_uids, held, record)
    if not record.configuration.is_imported:  # whose sessions are of the moment of the import
        _refuse_other_sessions(known_sessions, record)
    counted = set(connection.scalars(sa.select(FOOTPRINT.c.key)))
    sessions = {uid: row.id for uid, row in known_sessions.items()}
    for uid, session in record.sessions.items():
        if uid not in sessions:
            marked = {**session.provenance, _IMPORTED: stamp(clock(connection))}
            statement = sa.insert(SESSION).values(
                uid=uid, started=session.started, provenance=marked
            )
            sessions[uid] = connection.execute(statement.returning(SESSION.c.id)).scalar_one()
    new = [one for one in record.rounds if one.uid not in known_uids]
    first = held.accepted.keys() & {one.key for one in new if one.status == "failed"}
    lowest = connection.scalar(sa.select(sa.func.coalesce(sa.func.min(SAMPLE.c.id), 1)))
    assert lowest is not None
    places = count(min(lowest, 1) - sum(one.key in first for one in new))
    for one in new:
        place = next(places) if one.key in first else None
        insert(connection, one, record.configuration, sessions[one.session], place)
    for key in sorted(record.footprints.keys() - counted):
        keep_footprint(connection, key, record.footprints[key])
    return len(new)


def _refuse_other_values(there: Set[str], held: Record, record: Record) -> None:
    """Refuses what has the uid of something in the store, but is not that.

    Values that others stated are told apart by `imported.refuse_changes`.
    """
    known = {one.uid: one for one in held.rounds}
    for number, one in enumerate(record.rounds, 1):
        twin = known.get(one.uid)
        if one.uid in there and (twin is None or not _is_same(one, twin)):
            raise UnfitStoreError(
                f"A store does not change what it holds, but row {number} of the file, of "
                f"{one.key}, has the uid of something else there ({one.uid}). Look which of the "
                "two was altered, or name another store."
            )


def _refuse_other_sessions(known: Mapping[str, Any], record: Record) -> None:
    """Refuses a session that has the uid of another one in the store."""
    for uid in record.sessions.keys() & known.keys():
        if record.sessions[uid] != _session(known[uid]):
            raise UnfitStoreError(
                f"A store does not change what it holds, but the session {uid} of the file is "
                "another there. Look which of the two was altered, or name another store."
            )


def _is_same(one: Round, other: Round) -> bool:
    """True if two rounds of one uid say the same; when a file was imported does not matter."""
    if (one.key, one.status) != (other.key, other.status):
        return False
    return one.status == "imported" or _said(one) == _said(other)


def _said(one: Round) -> tuple[object, ...]:
    samples = one.samples and (one.samples.ms.tolist(), one.samples.hot_ms.tolist())
    facts = (one.taken, one.session, one.number, one.reference_ms, one.reason)
    return *facts, samples, dict(one.provenance)


def _session(row: Any) -> Session:
    provenance = {name: said for name, said in _facts(row).items() if name != _IMPORTED}
    return Session(row.started, provenance)


def _facts(row: Any) -> dict[str, str]:
    """The provenance of a row; a damaged one may be anything that JSON knows."""
    facts = row.provenance
    if isinstance(facts, dict) and all(isinstance(said, str) for said in facts.values()):
        return facts
    raise ValueError(f"provenance must be texts by their names, but is {facts!r}")


def _round(row: Any, session: str) -> Round:
    if not all(isinstance(text, str) for text in (row.uid, row.taken, row.key)):
        raise ValueError(f"uid, taken and key must be texts, but are {row[1:4]}")
    failed = row.status == "failed"
    return Round(
        uid=row.uid,
        taken=row.taken,
        key=row.key,
        session=session,
        status=row.status,
        number=row.round,
        samples=None if failed else Samples(_array(row.ms), _array(row.hot_ms)),
        reference_ms=row.reference_ms,
        reason=row.reason,
        provenance=_facts(row),
    )


def _array(values: list[float]) -> FloatArray:
    return np.array(values, dtype=np.float64)
