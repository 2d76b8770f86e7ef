"""Scales of plots: where values lie on an axis, and the round numbers that are written along it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from matplotlib.ticker import Locator

_MOST_TICKS = 7  # find room on a phone
_MOST_OF_LOGS = 8  # more than these span two powers of ten at least, which are written alone then
_RATIO_OF_LOGS = 4.0  # below that a logarithm shows nothing that a linear axis does not
_MARGIN = 0.06  # of the range, on both sides


@dataclass(frozen=True, slots=True)
class Tick:
    """A value that is written along an axis.

    Attributes:
        value: in the unit of the axis.
        text: that stands there.
    """

    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Range of an axis.

    Attributes:
        low: value at its beginning.
        high: value at its end, above `low`.
        is_log: true if equal ratios are equally far apart; both ends are positive then.
    """

    low: float
    high: float
    is_log: bool = False

    @classmethod
    def around(cls, values: Iterable[float], *, may_be_log: bool = False) -> Self:
        """The scale on which all finite values find room, with a margin.

        Args:
            values: of what is drawn; those that are not finite are passed over.
            may_be_log: whether a logarithm is allowed, where values differ by enough.
        """
        finite = [float(value) for value in values if math.isfinite(value)]
        low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
        if may_be_log and low > 0 and high / low >= _RATIO_OF_LOGS:
            margin = (high / low) ** _MARGIN
            return cls(low / margin, high * margin, is_log=True)
        margin = _MARGIN * (high - low) or 0.05 * abs(high) or 1.0
        return cls(low - margin, high + margin)

    def percent(self, value: float) -> float:
        """How far along the axis a value lies, 0 to 100; NaN of what is not finite, or not here."""
        if not math.isfinite(value) or (self.is_log and value <= 0):
            return math.nan
        low, high = self.low, self.high
        if self.is_log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return 100 * (value - low) / (high - low)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """Round numbers inside, in steps of 1, 2 or 5 times a power of ten."""
        from matplotlib.ticker import LogLocator

        if self.is_log:
            for factors in ((1, 2, 5), (1,)):
                ticks = self._inside(LogLocator(subs=factors, numticks=_MOST_OF_LOGS))
                if 2 <= len(ticks) <= _MOST_OF_LOGS:
                    return tuple(Tick(value, number(value)) for value in ticks)
        ticks = self._inside(_locator(_MOST_TICKS))
        step = np.diff(ticks).min(initial=math.inf)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step < math.inf else 0
        return tuple(Tick(value, f"{value:,.{decimals}f}") for value in ticks)

    def _inside(self, locator: "Locator") -> list[float]:
        """Ticks of matplotlib between both ends, freed of rounding errors."""
        ticks = (float(f"{tick:.12g}") + 0.0 for tick in locator.tick_values(self.low, self.high))
        return [tick for tick in ticks if self.low <= tick <= self.high]


def _locator(most: int) -> "Locator":
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, steps=[1, 2, 5, 10])


def round_above(value: float, most: int) -> float:
    """End of an axis from 0 past a positive value, after at most so many round steps."""
    return float(_locator(most).tick_values(0.0, value)[-1])


def number(value: float, digits: int = 12) -> str:
    """Writes a number without exponent, to so many significant digits: `0.05`, `2`, `12,000`."""
    if not math.isfinite(value):
        return "not known"
    short = Decimal(f"{value:.{digits}g}")
    return f"{short.normalize():,f}"
