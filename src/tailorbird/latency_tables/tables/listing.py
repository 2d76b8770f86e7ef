"""Latency tables as JSON and as text, with the rows to distrust and why."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from tailorbird.latency_tables.tables.record import Record
from tailorbird.latency_tables.tables.table import Latency, LatencyTable

_MIB = 2**20


def listing(record: Record, rounds: int) -> dict[str, object]:
    """Returns all that is known of each row, and of the table, for JSON.

    Args:
        record: also of a table that is being measured.
        rounds: that a row should have.
    """
    table, ahead = record.table(1), record.stamped_ahead(datetime.now(UTC))
    return {
        "device": record.device,
        "space": record.space,
        "configuration": asdict(record.configuration),
        "provenance": record.provenance,
        "quality": quality(table),
        "rows": [_row(table, key, _doubts(table, key, rounds, ahead)) for key in table.entries],
        "failures": {
            key: "; ".join([reason, *_clock(key, ahead)]) for key, reason in table.failures.items()
        },
    }


def quality(table: LatencyTable) -> dict[str, object]:
    """Counts and spread of a table; `share_trusted` is a fraction, None where there are no rows."""
    return {
        "n_rows": len(table.entries),
        "n_failed": len(table.failures),
        "share_trusted": table.share_trusted,
        "median_spread": table.median_spread,
        "is_usable": table.is_usable,
    }


def text(record: Record, rounds: int) -> str:
    """Returns the table as text for a terminal; `?` marks rows to distrust."""
    table, ahead = record.table(1), record.stamped_ahead(datetime.now(UTC))
    lines = ["    median ms      hot ms  spread  rounds  weights MiB  peak MiB  workload"]
    for key, latency in table.entries.items():
        cost = table.footprints.get(key)
        doubts = _doubts(table, key, rounds, ahead)
        lines.append(
            f"{'?' if doubts else ' '} {latency.median_ms:11.6f} {_cell(latency.hot_ms, 11, 6)}"
            f" {_share(latency.spread)} {len(latency.round_ms):7d}"
            f" {_cell(cost.weight_bytes / _MIB if cost else None, 12, 3)}"
            f" {_cell(cost.peak_activation_bytes / _MIB if cost else None, 9, 3)}  {key}"
        )
        if doubts:
            lines.append(f"{'':14}because {'; '.join(doubts)}")
    for key, reason in table.failures.items():
        lines.append(f"{'failed':>13}  {key}: {'; '.join([reason, *_clock(key, ahead)])}")
    if table.share_trusted is None:
        return "\n".join([*lines, f"No rows; {len(table.failures)} failed."])
    lines.append(
        f"{len(table.entries)} rows, {table.share_trusted:.0%} of them to be trusted, median "
        f"spread {_share(table.median_spread).strip()}; {len(table.failures)} failed."
    )
    if n := table.n_uncompared:
        lines.append(f"Outputs of {n} programs were not compared with torch.")
    return "\n".join(lines)


def _row(table: LatencyTable, key: str, doubts: tuple[str, ...]) -> dict[str, object]:
    latency: Latency = table.entries[key]
    footprint = table.footprints.get(key)
    return {
        "workload": key,
        **asdict(latency),
        "std_ms": latency.std_ms if latency.spread is not None else None,
        "spread": latency.spread,
        "rounds": len(latency.round_ms),
        "is_trusted": latency.is_trusted,
        "doubts": list(doubts),
        "footprint": asdict(footprint) if footprint else None,
        "weight_mib": footprint.weight_bytes / _MIB if footprint else None,
        "peak_activation_mib": footprint.peak_activation_bytes / _MIB if footprint else None,
        "provenance": dict(table.provenance.get(key, {})),
    }


def _doubts(
    table: LatencyTable, key: str, rounds: int, ahead: Mapping[str, str]
) -> tuple[str, ...]:
    """Reasons to distrust a row, and what else to know before using it."""
    latency = table.entries[key]
    doubts = list(latency.doubts)
    if 2 <= len(latency.round_ms) < rounds:
        doubts.append(f"{len(latency.round_ms)} of {rounds} rounds")
    if kernels := table.provenance.get(key, {}).get("unscheduled_kernels"):
        doubts.append(f"unscheduled kernels: {kernels}")
    return (*doubts, *_clock(key, ahead))


def _clock(key: str, ahead: Mapping[str, str]) -> list[str]:
    """Remark on a row that is stamped later than now; empty where it is not."""
    return [f"stamped {ahead[key]}, when a clock was ahead"] if key in ahead else []


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:7.1%}"


def _cell(value: float | None, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"
