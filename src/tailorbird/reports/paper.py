"""Pictures of a front for papers: PNG and SVG."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tailorbird.notebook import label
from tailorbird.reports.plots.plot import Plot, Points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS: Mapping[str, str] = {
    "vermilion": "#d55e00",
    "blue": "#0072b2",
    "green": "#009e73",
    "purple": "#cc79a7",
    "grey": "#8a9199",
}
_MARKS: Mapping[str, str] = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "diamond": "D",
    "cross": "x",
    "star": "*",
}


def pictures_of(plot: Plot, title: str, mark: tuple[str, str]) -> dict[str, bytes]:
    """Draws a plot as `png` and as `svg`, whose metadata hold a mark.

    Args:
        plot: what is drawn, as in the page.
        title: above it.
        mark: name and value.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for cloud in plot.clouds:
        axes.plot(cloud.x, cloud.y, ".", color=_COLOURS["grey"], label=label(cloud.name) or None)
    for line in plot.lines:
        style = ":" if line.is_dotted else "-"
        axes.plot(line.x, line.y, style, color=_COLOURS[line.colour], label=label(line.name))
    for points in plot.points:
        _draw(axes, points)
    _scale(axes, plot)
    axes.set_title(label(title))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    made = {}
    name, value = mark
    for kind, metadata in (
        ("png", {name: value}),
        ("svg", {"Description": f"{name}: {value}", "Date": None}),
    ):
        picture = io.BytesIO()
        with mpl.rc_context({"svg.hashsalt": "tailorbird"}):  # the same network, the same bytes
            figure.savefig(picture, format=kind, metadata=metadata)
        made[kind] = picture.getvalue()
    return made


def _draw(axes: "Axes", points: Points) -> None:
    name: str | None = label(points.name)
    for is_hollow in (False, True):
        of = [point for point in points.of if point.is_hollow == is_hollow]
        if not of:
            continue
        axes.errorbar(
            [point.x for point in of],
            [point.y for point in of],
            [point.y_error for point in of],
            [point.x_error for point in of],
            fmt=_MARKS[points.mark],
            color=_COLOURS[points.colour],
            markerfacecolor="none" if is_hollow else None,
            elinewidth=0.7,
            label=name,
        )
        name = None


def _scale(axes: "Axes", plot: Plot) -> None:
    for axis, of, limit in (
        (axes.xaxis, plot.x, axes.set_xlim),
        (axes.yaxis, plot.y, axes.set_ylim),
    ):
        if of.scale.is_log:
            (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
        limit(of.scale.low, of.scale.high)
        axis.set_ticks([t.value for t in of.scale.ticks], [t.text for t in of.scale.ticks])
        axis.set_ticks([], minor=True)
        axis.set_label_text(label(of.title))
