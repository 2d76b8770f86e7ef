"""A file that a runtime loads once for each copy of the weights, since loading packs them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from tailorbird.latency_tables.runtimes.timing_protocol import PLACEMENTS

Loaded = TypeVar("Loaded")

_MOST_BYTES = 2 << 30
"""Memory that all copies take, at most; a file's weights are held twice while they are packed."""


class LoadedCopies(Generic[Loaded]):
    """Copies of a program, each with packed weights of its own.

    Args:
        path: of the file, whose size limits how many copies there are.
        n_copies: at most.
        load: loads it once more.
    """

    def __init__(self, path: Path, n_copies: int, load: Callable[[], Loaded]) -> None:
        most = max(1, _MOST_BYTES // (2 * path.stat().st_size))
        self._load = load
        self._copies = [load() for _ in range(min(n_copies, most))]
        self._n_placed = 0
        self._held: list[Any] = []

    @property
    def first(self) -> Loaded:
        """The copy that is run when nothing is timed."""
        return self._copies[0]

    def placed(self) -> Sequence[Loaded]:
        """Returns the copies for one more placement; a single one is loaded anew, elsewhere."""
        if len(self._copies) == 1 and 0 < self._n_placed < PLACEMENTS:
            self._held.append(self._copies)  # so that the same place is not free again
            self._copies = [self._load()]
        self._n_placed += 1
        return self._copies
