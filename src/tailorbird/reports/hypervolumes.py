"""Hypervolumes of checked fronts, of each space of a union and of all, in one box."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import moocore
import numpy as np
import pandas as pd

_MEASURES = ["latency_ms_measured", "accuracy_test"]


@dataclass(frozen=True, slots=True)
class Box:
    """Range of measured latency and test accuracy in which hypervolumes are fractions.

    Attributes:
        latency_ms: fastest and slowest.
        accuracy: least and most accurate, as fractions.
    """

    latency_ms: tuple[float, float]
    accuracy: tuple[float, float]

    @classmethod
    def around(cls, networks: pd.DataFrame) -> Self | None:
        """The box around checked networks; None if they are too few or too alike to span one."""
        known = networks.dropna(subset=_MEASURES)
        ranges = [(float(known[name].min()), float(known[name].max())) for name in _MEASURES]
        if not all(low < high for low, high in ranges):  # nor if there are none, which are NaN
            return None
        return cls(*ranges)

    def share(self, networks: pd.DataFrame) -> float:
        """Fraction of the box that is dominated by checked networks, 0 if there are none."""
        known = networks.dropna(subset=_MEASURES)
        if known.empty:
            return 0.0
        (fast, slow), (low, high) = self.latency_ms, self.accuracy
        ms = (known["latency_ms_measured"].to_numpy() - fast) / (slow - fast)
        error = (high - known["accuracy_test"].to_numpy()) / (high - low)
        return float(moocore.hypervolume(np.column_stack([ms, error]), ref=[1.0, 1.0]))


def hypervolumes(
    front: pd.DataFrame, random: pd.DataFrame, labels: Sequence[str]
) -> dict[str, object] | None:
    """Hypervolumes of a checked front and of the part of it that each space has.

    They are fractions of the box around all checked networks. A space alone could have more: its
    networks were not searched for where those of others are better.

    Args:
        front: its checked networks.
        random: networks, checked likewise.
        labels: names of all spaces, as in the column `space`.

    Returns:
        The `box`, `spaces` by name and their `union`; None if there is no box.
    """
    box = Box.around(pd.concat([front, random]))
    if box is None:
        return None
    return {
        "box": {"latency_ms": [*box.latency_ms], "accuracy": [*box.accuracy]},
        "spaces": {label: box.share(front[front["space"] == label]) for label in labels},
        "union": box.share(front),
    }
