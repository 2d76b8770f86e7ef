"""Figures that were had once for each seed."""

from collections.abc import Mapping

import numpy as np
from scipy.stats import t as student

from tailorbird.spaces import FloatArray


def with_interval(values: FloatArray) -> dict[str, float]:
    """Mean over seeds with its 95 % interval (Student's t); NaN are the ends of one value's."""
    mean, reach = float(values.mean()), float("nan")
    if len(values) > 1:
        reach = float(student.ppf(0.975, len(values) - 1)) * standard_error(values)
    return {"mean": mean, "low": mean - reach, "high": mean + reach}


def standard_error(values: FloatArray) -> float:
    """Standard error of the mean over seeds; NaN for one value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def cell(interval: Mapping[str, float]) -> str:
    """A fraction in per cent with its interval, in 19 characters."""
    mean, low, high = (100 * interval[name] for name in ("mean", "low", "high"))
    return f"{mean:5.2f} [{low:.1f}, {high:.1f}]".ljust(19)


def plain_cell(interval: Mapping[str, float]) -> str:
    """A figure with its interval."""
    return f"{interval['mean']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"


def verdict_of(gain: float, two_errors: float) -> str:
    """Whether something is better, by two standard errors; one seed says nothing."""
    if np.isnan(two_errors):
        return "unknown"
    return "yes" if gain > two_errors else "no, worse" if gain < -two_errors else "no"
