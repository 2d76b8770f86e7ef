"""Weights that do not fit: the names and shapes in a file beside those that are looked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from torch import Size

from tailorbird.training.weights.state_dict import plain

_SHOWN = 5
_SIMILAR = 0.3  # of 1; names that are less similar are no pair


@dataclass(frozen=True, slots=True)
class Misfits:
    """What does not fit between a file and a network.

    Attributes:
        twice: pairs of names in the file that have one place.
        shapes: by name in the file whose shape is another: the name that is looked for, the shape
            in the file and the shape that is wanted.
        unplaced: names in the file without a place.
        missing: names that are looked for, and are not there.
    """

    twice: Sequence[tuple[str, str]]
    shapes: Mapping[str, tuple[str, Size, Size]]
    unplaced: Sequence[str]
    missing: Sequence[str]

    def __len__(self) -> int:
        return len(self.twice) + len(self.shapes) + max(len(self.unplaced), len(self.missing))

    def __str__(self) -> str:
        """Pairs of names, in the file / looked for, at most five."""
        shown = [f"{plain(a)!r} and {plain(b)!r} / one of them" for a, b in self.twice]
        shown += [
            f"{plain(name)!r} of shape {tuple(there)} / {wanted!r} of shape {tuple(own)}"
            for name, (wanted, there, own) in sorted(self.shapes.items())
        ]
        shown += self._pairs(_SHOWN - len(shown))
        return ", ".join(shown[:_SHOWN]) + (", …" if len(self) > _SHOWN else "")

    def _pairs(self, n: int) -> list[str]:
        """Names without a place beside the nearest that are missing."""
        left = list(self.missing)
        pairs = []
        for name in sorted(self.unplaced)[: max(n, 0)]:
            close = max(left, key=lambda wanted: _similarity(name, wanted), default=None)
            if close is not None and _similarity(name, close) >= _SIMILAR:
                left.remove(close)
            else:
                close = None
            pairs.append(f"{plain(name)!r} / {close!r}" if close else f"{plain(name)!r} / nothing")
        pairs += [f"nothing / {wanted!r}" for wanted in sorted(left)]
        return pairs[: max(n, 0)]


def _similarity(name: str, other: str) -> float:
    return SequenceMatcher(None, plain(name), other, autojunk=False).ratio()
