"""What the values of an exported table must be, and what follows from them.

Written from what README.md and the format say, without the package, which is judged by it.
"""

import math
import statistics
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from fuzz.table_files import COLUMNS, COSTS, LISTS, Exported

SHORTEST_MS, LONGEST_MS = 1e-9, 1e9
MOST_SPREADS = 10.0
_LARGEST = 2**63 - 1  # that a column of a database holds
_CONFIGURATION = {
    **dict.fromkeys(("cpu", "target", "runtime", "runtime_version", "schedule", "timing"), str),
    **dict.fromkeys(("threads", "batch"), int),
}
_STATUS = ("measured", "imported", "discarded", "failed")


def violations(table: Exported) -> Iterator[str]:
    """What is wrong with a table, first in its head and then row by row."""
    if not isinstance(table.head, dict):
        yield "the head is no object"
        return
    if not isinstance(table.rows, list):
        yield "the rounds are no list"
        return
    yield from _of_head(table.head)
    sessions = table.head.get("sessions")
    uids = set()
    for number, row in enumerate(table.rows, start=1):
        if not isinstance(row, dict):
            yield f"row {number} is no object"
            continue
        for wrong in _of_row(row, sessions if isinstance(sessions, dict) else {}):
            yield f"row {number}: {wrong}"
        if isinstance(uid := row.get("uid"), str):
            if uid in uids:
                yield f"row {number}: uid {uid!r} is there twice"
            uids.add(uid)


def medians_ms(table: Exported) -> dict[str, float]:
    """What the table shows of each program: the median of the medians of its rounds."""
    rounds: dict[str, list[float]] = {}
    for row in table.rows:
        match row["status"]:
            case "failed":
                rounds.pop(row["key"], None)
            case "imported":
                rounds[row["key"]] = row["ms"]
            case "measured":
                rounds.setdefault(row["key"], []).append(statistics.median(row["ms"]))
    return {key: statistics.median(ms) for key, ms in rounds.items()}


def _of_head(head: Mapping[str, Any]) -> Iterator[str]:
    if head.get("name") != "tailorbird latency table" or not _is_whole(head.get("format"), 1, 1):
        yield "it is no table of format 1"
    for name in ("device", "space", "tailorbird"):
        if not _is_text(head.get(name)):
            yield f"{name} is no text"
    configuration = head.get("configuration")
    if not isinstance(configuration, dict) or configuration.keys() != _CONFIGURATION.keys():
        yield "the configuration has not its keys"
    else:
        for name, kind in _CONFIGURATION.items():
            value = configuration[name]
            if not (_is_text(value) if kind is str else _is_whole(value, 1, _LARGEST)):
                yield f"configuration.{name} is {value!r}"
    sessions = head.get("sessions")
    if not isinstance(sessions, dict):
        yield "sessions are no object"
        return
    for uid, session in sessions.items():
        if not isinstance(session, dict) or session.keys() != {"started", "provenance"}:
            yield f"session {uid!r} has not its keys"
        elif not _is_text(uid) or not _is_time(session["started"]):
            yield f"session {uid!r} started {session['started']!r}"
        elif not _are_texts(session["provenance"]):
            yield f"session {uid!r} has a provenance that is not text by text"


def _of_row(row: Mapping[str, Any], sessions: Mapping[str, Any]) -> Iterator[str]:
    if row.keys() != set(COLUMNS):
        yield "it has not its columns"
        return
    if not _is_text(row["uid"]) or not row["uid"] or not _is_text(row["key"]) or not row["key"]:
        yield "uid or key is no text"
    if not _is_time(row["taken"]):
        yield f"taken is {row['taken']!r}"
    if not isinstance(row["session"], str) or row["session"] not in sessions:
        yield f"there is no session {row['session']!r}"
    if not _are_texts(row["provenance"]):
        yield "provenance is not text by text"
    costs = [row[name] for name in COSTS]
    if any(cost is not None for cost in costs) and not all(
        _is_whole(c, 0, _LARGEST) for c in costs
    ):
        yield f"costs are {costs}"
    if row["status"] not in _STATUS:
        yield f"status is {row['status']!r}"
    elif row["status"] == "failed":
        yield from _of_failure(row)
    else:
        yield from _of_round(row)


def _of_failure(row: Mapping[str, Any]) -> Iterator[str]:
    if not _is_text(row["reason"]):
        yield f"the reason of a failure is {row['reason']!r}"
    for name in ("round", *LISTS, "reference_ms"):
        if row[name] is not None:
            yield f"a failure has {name} {row[name]!r}"


def _of_round(row: Mapping[str, Any]) -> Iterator[str]:
    if row["reason"] is not None:
        yield "a round has a reason to have failed"
    if not _is_whole(row["round"], 0, _LARGEST):
        yield f"round is {row['round']!r}"
    for name in LISTS:
        ms = row[name]
        if not isinstance(ms, list) or not all(_is_ms(value) for value in ms):
            yield f"{name} is {ms!r}"
            return
    if not row["ms"]:
        yield "there are no samples"
        return
    if row["status"] != "imported":
        if not _is_ms(row["reference_ms"]):
            yield f"reference_ms is {row['reference_ms']!r}"
        return
    if row["reference_ms"] is not None or len(row["ms"]) != 1 or row["hot_ms"]:
        yield "what is imported is one value"
    if isinstance(row["provenance"], dict) and "std_ms" in row["provenance"]:
        try:
            std_ms = float(row["provenance"]["std_ms"])
        except (TypeError, ValueError):
            std_ms = math.nan
        if not 0 <= std_ms <= MOST_SPREADS * row["ms"][0]:
            yield f"std_ms is {row['provenance']['std_ms']!r}"


def _is_whole(value: Any, least: float, most: float) -> bool:
    return type(value) is int and least <= value <= most


def _is_ms(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and SHORTEST_MS <= value <= LONGEST_MS


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _are_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_text(name) and _is_text(one) for name, one in value.items()
    )


def _is_time(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
