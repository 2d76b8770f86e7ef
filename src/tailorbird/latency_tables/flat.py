"""Records as plain rows, one per round or failure, which any format can hold."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from tailorbird.latency_tables.device import Configuration
from tailorbird.latency_tables.record import Record, Round, Session
from tailorbird.latency_tables.runtime import Samples
from tailorbird.spaces.footprint import Footprint

_COSTS = tuple(field.name for field in fields(Footprint))

TEXTS = ("uid", "taken", "key", "session", "status", "reason")
"""Columns of text; only the reason may be missing."""

COLUMNS = (
    *("uid", "taken", "key", "session", "status", "round"),
    *("ms", "hot_ms", "reference_ms", "reason", "provenance", *_COSTS),
)
"""Of a row; samples and reference of a failure are missing, and costs that were not counted."""


def to_rows(record: Record) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What holds for all rows, and the rows, as values that JSON knows."""
    head = {
        "device": record.device,
        "space": record.space,
        "configuration": asdict(record.configuration),
        "sessions": {
            uid: {"started": session.started, "provenance": dict(session.provenance)}
            for uid, session in record.sessions.items()
        },
    }
    return head, [_row(one, record.footprints.get(one.key)) for one in record.rounds]


def from_rows(head: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Record:
    """The record again.

    Raises:
        KeyError, TypeError, ValueError: if anything is missing or does not fit.
    """
    record = Record(
        device=head["device"],
        space=head["space"],
        configuration=Configuration(**head["configuration"]),
        sessions={uid: Session(**session) for uid, session in head["sessions"].items()},
        rounds=tuple(map(_round, rows)),
        footprints={
            row["key"]: Footprint(*(row[name] for name in _COSTS))
            for row in rows
            if row[_COSTS[0]] is not None
        },
    )
    unknown = {one.session for one in record.rounds} - record.sessions.keys()
    if unknown:
        raise ValueError(f"there is no session {unknown.pop()!r}")
    return record


def _row(one: Round, footprint: Footprint | None) -> dict[str, Any]:
    costs = asdict(footprint) if footprint else dict.fromkeys(_COSTS)
    return {
        "uid": one.uid,
        "taken": one.taken,
        "key": one.key,
        "session": one.session,
        "status": one.status,
        "round": one.number,
        "ms": one.samples.ms.tolist() if one.samples else None,
        "hot_ms": one.samples.hot_ms.tolist() if one.samples else None,
        "reference_ms": one.reference_ms,
        "reason": one.reason,
        "provenance": dict(one.provenance),
        **costs,
    }


def _round(row: Mapping[str, Any]) -> Round:
    samples = None
    if row["ms"] is not None:
        samples = Samples(*(np.array(row[name], dtype=np.float64) for name in ("ms", "hot_ms")))
    return Round(
        uid=row["uid"],
        taken=row["taken"],
        key=row["key"],
        session=row["session"],
        status=row["status"],
        number=row["round"],
        samples=samples,
        reference_ms=row["reference_ms"],
        reason=row["reason"],
        provenance=row["provenance"],
    )
