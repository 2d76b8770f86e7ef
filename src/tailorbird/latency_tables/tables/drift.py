"""The speed of a quiet machine, from times of a reference that always does the same."""

from bisect import insort
from collections.abc import Iterable, Sequence

import numpy as np

_FLOOR = 10  # percentile: a lucky reference would condemn everything that comes after it


class Floor:
    """The floor of references that come one by one, each in the time of one comparison or so.

    Args:
        known_ms: those of before.
    """

    def __init__(self, known_ms: Iterable[float] = ()) -> None:
        self._sorted_ms = sorted(known_ms)

    def add(self, reference_ms: float) -> None:
        """Counts one more."""
        insort(self._sorted_ms, reference_ms)

    @property
    def ms(self) -> float:
        """Milliseconds, see `floor`, of all of them."""
        last = len(self._sorted_ms) - 1
        if last < 0:
            return float("nan")
        place = last * _FLOOR / 100
        low = int(place)
        below, above = self._sorted_ms[low], self._sorted_ms[min(low + 1, last)]
        return below + (place - low) * (above - below)


def floor(references_ms: Sequence[float]) -> float:
    """Milliseconds of the reference on the quiet machine; NaN if it never ran."""
    return float(np.percentile(references_ms, _FLOOR)) if len(references_ms) else float("nan")
