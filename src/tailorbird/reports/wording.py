"""Figures as people read them: rounded by their errors, with units."""

import math

from tailorbird.reports.plots.scale import number

_DIGITS = 3  # significant ones of what has no error
_SMALLEST = 5e-10  # error that can be written


def with_error(value: float, error: float, unit: str) -> str:
    """A value rounded to the first digit of its error, with both: `97.6 ± 0.4 %`.

    Without an error it has three significant digits, and at least all before the point.
    """
    if not math.isfinite(value):
        return "not known"
    if not math.isfinite(error) or error < _SMALLEST:
        return f"{plain(value)} {unit}".rstrip()
    decimals = min(9, max(0, -_exponent(error)))
    return f"{value:,.{decimals}f} ± {error:,.{decimals}f} {unit}".rstrip()


def plain(value: float) -> str:
    """A value with three significant digits, and at least all before the point."""
    if not math.isfinite(value):
        return "not known"
    digits = max(_DIGITS, 1 + _exponent(value)) if value else _DIGITS
    return number(value, digits)


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(float(f"{value:.0e}"))))
