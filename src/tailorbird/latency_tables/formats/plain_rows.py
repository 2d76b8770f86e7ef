"""Records as plain rows, one per round or failure, which any format can hold."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from tailorbird.errors import MeasurementError
from tailorbird.latency_tables.formats.document import Head, Row
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.record import Record, Round, Session
from tailorbird.latency_tables.tables.samples import Samples
from tailorbird.spaces.footprint import Footprint

_COSTS = tuple(field.name for field in fields(Footprint))

TEXTS = ("uid", "taken", "key", "session", "status", "reason")
"""Columns of text; only the reason may be missing."""

COLUMNS = (
    *("uid", "taken", "key", "session", "status", "round"),
    *("ms", "hot_ms", "reference_ms", "reason", "provenance", *_COSTS),
)
"""Columns of a row; a failure lacks samples and reference, and costs may not have been counted."""


def to_rows(record: Record) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Returns the head, which holds for all rows, and the rows, as values that JSON knows."""
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


def from_rows(head: Head, rows: Sequence[Row]) -> Record:
    """Returns the record that `to_rows` made into a head and rows.

    Raises:
        ValueError: naming the first row whose values do not go together.
    """
    return Record(
        device=head.device,
        space=head.space,
        configuration=Configuration(**dict(head.configuration)),
        sessions={
            uid: Session(session.started, session.provenance)
            for uid, session in head.sessions.items()
        },
        rounds=tuple(_round(row, number) for number, row in enumerate(rows, 1)),
        footprints={
            row.key: Footprint(*costs)
            for row in rows
            if (costs := [cost for cost in row.costs if cost is not None])
        },
    )


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


def _round(row: Row, number: int) -> Round:
    try:
        return Round(
            uid=row.uid,
            taken=row.taken,
            key=row.key,
            session=row.session,
            status=row.status,
            number=row.round,
            samples=_samples(row),
            reference_ms=row.reference_ms,
            reason=row.reason,
            provenance=row.provenance,
        )
    except (ValueError, MeasurementError) as error:
        raise ValueError(f"row {number}: {str(error).rstrip('.')}") from None


def _samples(row: Row) -> Samples | None:
    if row.ms is None and row.hot_ms is None:
        return None
    if row.ms is None or row.hot_ms is None:
        raise ValueError("ms and hot_ms must both be there, or both be missing")
    return Samples(np.array(row.ms, np.float64), np.array(row.hot_ms, np.float64))
