"""Plot of a front: checked networks beside predicted ones, and anchors as they came."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tailorbird.reports.measures import Measure, best_known_ms
from tailorbird.reports.plots.plot import COLOURS, MARKS, Cloud, Line, Plot, Point, Points
from tailorbird.reports.wording import with_error
from tailorbird.spaces import FloatArray

_MOST_JOINED = 200  # networks of a predicted front that a line joins


def front_plot(
    front: pd.DataFrame,
    random: pd.DataFrame,
    supplied: pd.DataFrame,
    predicted: tuple[FloatArray, FloatArray],
    x: Measure,
    y: Measure,
) -> Plot:
    """Accuracies of checked networks over what they cost, with what was predicted.

    Args:
        front: the checked front with a column `is_non_dominated`; its rows are numbered from 0.
        random: networks, checked likewise.
        supplied: anchors before they were stitched, with the columns that are drawn.
        predicted: costs and accuracies of the predicted front, (n,) each.
        x: what networks cost.
        y: how accurate they are.
    """
    order = np.argsort(predicted[0], kind="stable")
    costs, accuracies = (values[order] for values in predicted)
    joined = len(costs) <= _MOST_JOINED
    anchors = [*_supplied(supplied, x, y)]
    frames = [frame for frame in (front, random) if len(frame)]
    x_anchors, y_anchors = np.array([(p.x, p.y) for of in anchors for p in of.of]).reshape(-1, 2).T
    return Plot(
        "front",
        f"{y.title} over {x.title}",
        x.axis(costs, x_anchors, *map(x.values, frames)),
        y.axis(accuracies, y_anchors, *map(y.values, frames)),
        points=(
            *_random(random, x, y),
            *by_kind(front, x, y),
            *anchors,
        ),
        lines=[Line("predicted front", costs, accuracies, is_dotted=True)] if joined else [],
        clouds=[
            Cloud("" if joined else f"predicted front of {len(costs):,}", costs, accuracies),
        ],
    )


def by_kind(networks: pd.DataFrame, x: Measure, y: Measure) -> Iterator[Points]:
    """Points of a checked front by kind; of several spaces each has kinds of its own.

    Hollow ones are beaten by another network of the front.
    """
    names = networks["kind"]
    if networks["space"].nunique() > 1:
        names = networks["space"] + " " + names
    points = [*_points(networks, x, y)]
    for i, name in enumerate(sorted(names.unique())):
        of_kind = [point for point, kind in zip(points, names, strict=True) if kind == name]
        # As many shapes as colours, and then the same shapes in other colours.
        n = len(COLOURS)
        yield Points(str(name), MARKS[i % n], COLOURS[(i + i // n) % n], of_kind)


def _points(networks: pd.DataFrame, x: Measure, y: Measure) -> Iterator[Point]:
    columns = (networks["architecture"], x.values(networks), y.values(networks))
    errors = x.errors(networks), y.errors(networks), networks["is_non_dominated"]
    for number, (name, a, b, da, db, best) in enumerate(zip(*columns, *errors, strict=True)):
        text = f"{name}: {with_error(b, db, y.unit)}, {with_error(a, da, x.unit)}"
        yield Point(a, b, text, da, db, number, is_hollow=not best)


def _random(networks: pd.DataFrame, x: Measure, y: Measure) -> Iterator[Points]:
    if networks.empty:
        return
    a, b, names = x.values(networks), y.values(networks), networks["architecture"]
    points = [Point(*at) for at in zip(a, b, _texts(names, a, b, x, y), strict=True)]
    yield Points("random networks", "cross", "grey", points)


def _supplied(networks: pd.DataFrame, x: Measure, y: Measure) -> Iterator[Points]:
    if networks.empty:
        return
    told = networks.reindex(columns=[x.column, y.column])
    costs, accuracies, names = x.values(told), y.values(told), networks["architecture"]
    groups = {"anchors alone, before they were stitched": costs}
    if x.column == "latency_ms_measured":
        predicted = np.where(np.isnan(costs), best_known_ms(networks), np.nan)
        groups["anchors alone, at their predicted latency"] = predicted
    for name, at in groups.items():
        texts = _texts(names, at, accuracies, x, y)
        points = [
            Point(a, b, text, is_hollow=True)
            for a, b, text in zip(at, accuracies, texts, strict=True)
            if np.isfinite(a)
        ]
        if points:
            yield Points(name, "star", "grey", points)


def _texts(
    names: "pd.Series[str]", a: FloatArray, b: FloatArray, x: Measure, y: Measure
) -> list[str]:
    nan = float("nan")
    return [
        f"{name}: {with_error(v, nan, y.unit)}, {with_error(u, nan, x.unit)}"
        for name, u, v in zip(names, a, b, strict=True)
    ]
