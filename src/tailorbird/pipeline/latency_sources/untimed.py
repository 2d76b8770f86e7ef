"""Errors, tables and remarks of sources whose tables are not measured here."""

from tailorbird.errors import RecipeError
from tailorbird.latency_tables import Configuration, Device, LatencyTable, Record
from tailorbird.spaces import CALL

ESTIMATE = "have them predicted with [latency] estimate_missing = true"
"""What else a user can do whose table lacks workloads."""


def not_measured_here(device: str) -> RecipeError:
    """Error that says why nothing is measured."""
    return RecipeError(
        f"The table of {device!r} was measured elsewhere; nothing is measured for it here. "
        'To measure this machine, write [device] name = "local".'
    )


def untimed(device: Device, configuration: Configuration) -> LatencyTable:
    """An empty table, of a device on which nothing is timed."""
    return LatencyTable(device.name, configuration, {}, {})


def imported_remarks(record: Record) -> tuple[str, ...]:
    """Sentences on where a table of others is from, and on what it does not say."""
    entries = record.table(1).entries
    sources = {
        str(session.provenance.get("source", session.provenance.get("file", "a file")))
        for session in record.sessions.values()
    }
    remarks = [
        "No network was timed here: latencies are predicted from a table of "
        f"{record.device} that was imported from {' and '.join(sorted(sources))}."
    ]
    unknown = sum(latency.spread is None for latency in entries.values())
    if unknown:
        remarks.append(
            f"{unknown} of {len(entries)} rows of that table state no spread, so the uncertainty "
            "of latencies is that of the others only."
        )
    if CALL.key not in entries:
        remarks.append(
            "That table has no row for the empty program: its rows are added up as they are."
        )
    return tuple(remarks)
