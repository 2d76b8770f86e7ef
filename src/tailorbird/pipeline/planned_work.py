"""Work that a run has before it, and about how long it takes here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3_600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class PlannedWork:
    """Work of one kind that is left to do.

    Attributes:
        kind: `measure`, `train`, `evaluate`, `search` or `report`.
        what: what is done, and how often.
        seconds: about how long it takes here, from a little of it that was done; NaN if that
            cannot be told.
    """

    kind: str
    what: str
    seconds: float = math.nan


def in_words(seconds: float) -> str:
    """Writes a rough duration; empty if it is not known."""
    if math.isnan(seconds):
        return ""
    if seconds < 1:
        return "at once" if seconds == 0 else "about a second"
    for unit_s, unit in ((_DAY_S, "days"), (_HOUR_S, "hours"), (_MINUTE_S, "minutes")):
        if seconds >= 1.5 * unit_s:
            return f"about {seconds / unit_s:.2g} {unit}"
    return f"about {seconds:.2g} seconds"


def evenly(n: int, n_tried: int) -> Sequence[int]:
    """Positions of a few among n, from the middles of as many equal parts."""
    n_tried = min(n, n_tried)
    return [(2 * i + 1) * n // (2 * n_tried) for i in range(n_tried)]


def total(plan: Sequence[PlannedWork]) -> float:
    """Seconds of all work whose duration is known."""
    return sum(work.seconds for work in plan if not math.isnan(work.seconds))


def unknown(plan: Sequence[PlannedWork]) -> list[str]:
    """Kinds of work of which nobody knows how long it takes, but for searches, which are short."""
    return [work.kind for work in plan if math.isnan(work.seconds) and work.kind != "search"]


def sum_in_words(plan: Sequence[PlannedWork]) -> str:
    """A sentence on how long a plan takes here, as far as that is known."""
    missing = " and ".join(f"`{kind}`" for kind in unknown(plan))
    seconds = total(plan)
    if missing:
        known = f"; the rest takes {in_words(seconds)}" if seconds else ""
        return f"How long {missing} takes cannot be told before{known}."
    if not seconds:
        return "None of it takes long."
    return f"All of it takes {in_words(seconds)} here, at the pace of a little that was tried."
