"""Plots of what was predicted against what was measured."""

from collections.abc import Sequence
from itertools import chain

import pandas as pd

from tailorbird.reports.plots.plot import COLOURS, MARKS, Axis, Line, Plot, Point, Points
from tailorbird.reports.plots.scale import Scale
from tailorbird.reports.wording import plain, with_error


def latency_agreement(front: pd.DataFrame, random: pd.DataFrame) -> Plot:
    """Predicted over measured latency of checked networks."""
    columns = ("latency_ms_measured", "latency_ms_predicted", "latency_ms_std")
    return _plot("latency", "latency", "ms", columns, (front, random), 1.0)


def accuracy_agreement(front: pd.DataFrame, random: pd.DataFrame) -> Plot:
    """Predicted accuracy over that on test images."""
    columns = ("accuracy_test", "accuracy_predicted", "accuracy_std")
    return _plot("accuracy", "accuracy", "%", columns, (front, random), 100.0)


def _plot(
    name: str,
    what: str,
    unit: str,
    columns: tuple[str, str, str],
    frames: Sequence[pd.DataFrame],
    factor: float,
) -> Plot:
    known = [frame.dropna(subset=list(columns[:2])) for frame in frames]
    groups = [
        Points(title, mark, colour, _points(frame, columns, unit, factor))
        for title, mark, colour, frame in zip(
            ("the front", "random networks"), MARKS, COLOURS, known, strict=False
        )
    ]
    places = [(p.x, p.y) for group in groups for p in group.of]
    scale = Scale.around(chain.from_iterable(places), may_be_log=unit == "ms")
    ends = (scale.low, scale.high)
    return Plot(
        name,
        f"predicted over measured {what}",
        Axis(f"measured {what}, {unit}", scale),
        Axis(f"predicted {what}, {unit}", scale),
        points=groups,
        lines=[Line("equal", ends, ends, is_dotted=True)],
    )


def _points(
    networks: pd.DataFrame, columns: tuple[str, str, str], unit: str, factor: float
) -> list[Point]:
    rows = (factor * networks[[*columns]]).itertuples(index=False)
    points = []
    for name, (x, y, std) in zip(networks["architecture"], rows, strict=True):
        text = f"{name}: predicted {with_error(y, std, unit)}, measured {plain(x)} {unit}"
        points.append(Point(x, y, text, y_error=std))
    return points
