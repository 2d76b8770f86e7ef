"""Scales of plots: where values lie on an axis, and the round numbers that are written along it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

_MOST_TICKS = 7  # find room on a phone
_FEWEST_TICKS = 3
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
        if self.is_log:
            for factors in ((1, 2, 5), (1,)):
                ticks = self._of_decades(factors)
                if _FEWEST_TICKS <= len(ticks) <= _MOST_TICKS:
                    return tuple(Tick(value, number(value)) for value in ticks)
        if self.is_log and self.high / self.low >= 10**_FEWEST_TICKS:  # powers are too many
            ticks = self._of_decades((1,))
            return tuple(Tick(t, number(t)) for t in ticks[:: -(-len(ticks) // _MOST_TICKS)])
        return self._linear_ticks()

    def _of_decades(self, factors: Sequence[int]) -> list[float]:
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [float(f"{factor}e{exponent}") for exponent in exponents for factor in factors]
        return [value for value in values if self.low <= value <= self.high]

    def _linear_ticks(self) -> tuple[Tick, ...]:
        step = round_step(self.high - self.low, _MOST_TICKS)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        decimals = max(0, -math.floor(math.log10(step)))
        values = [round(i * step, decimals) + 0.0 for i in range(first, last + 1)]
        return tuple(Tick(value, f"{value:,.{decimals}f}") for value in values)


def round_step(span: float, most: int) -> float:
    """The least of 1, 2 and 5 times a power of ten of which at most so many fit into a span."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * most >= span)


def number(value: float, digits: int = 12) -> str:
    """Writes a number without exponent, to so many significant digits: `0.05`, `2`, `12,000`."""
    if not math.isfinite(value):
        return "not known"
    short = Decimal(f"{value:.{digits}g}")
    return f"{short.normalize():,f}"
