"""Plots with two axes: points, lines and clouds as SVG whose texts keep their size."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from markupsafe import Markup

from tailorbird.reports.plots.scale import Scale
from tailorbird.reports.templates import template
from tailorbird.spaces import FloatArray

MARKS = ("circle", "square", "triangle", "diamond", "cross", "star")
"""Shapes of points: they tell kinds apart where colours do not."""

COLOURS = ("vermilion", "blue", "green", "purple")
"""Names of colours, of which no two look alike to the colour-blind; see `report.css`."""


Values = Sequence[float] | FloatArray


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis with its title.

    Attributes:
        title: what its values are, with their unit.
        scale: where they lie.
        better: what it is to be further along it in the better direction; empty if none is better.
        is_better_high: true if that direction is up, or to the right.
    """

    title: str
    scale: Scale
    better: str = ""
    is_better_high: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A point with what a reader is told of it.

    Attributes:
        x: on the horizontal axis.
        y: on the vertical one.
        text: for who points at it.
        x_error: how far a bar reaches to both sides; NaN or 0 if there is none.
        y_error: likewise.
        number: of the network in the report's table, to which it leads; None if it is not there.
        is_hollow: true if only its outline is drawn.
    """

    x: float
    y: float
    text: str
    x_error: float = 0.0
    y_error: float = 0.0
    number: int | None = None
    is_hollow: bool = False


@dataclass(frozen=True, slots=True)
class Points:
    """Points of one kind.

    Attributes:
        name: in the legend.
        mark: one of `MARKS`.
        colour: one of `COLOURS`, or grey.
        of: the points.
    """

    name: str
    mark: str
    colour: str
    of: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points, in their order.

    Attributes:
        name: in the legend.
        x: of each point.
        y: of each point.
        colour: one of `COLOURS`, or grey.
        is_dotted: true if it is drawn so.
        is_step: true if it goes on level until the next point.
    """

    name: str
    x: Values
    y: Values
    colour: str = "grey"
    is_dotted: bool = False
    is_step: bool = False


@dataclass(frozen=True, slots=True)
class Cloud:
    """Any number of small dots of which nothing more is told.

    Attributes:
        name: in the legend.
        x: of each.
        y: of each.
    """

    name: str
    x: Values
    y: Values


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot with two axes.

    Attributes:
        name: of its element in a page.
        title: what it shows, for who cannot see it.
        x: horizontal axis.
        y: vertical axis.
        points: drawn last.
        lines: drawn below them.
        clouds: drawn first.
    """

    name: str
    title: str
    x: Axis
    y: Axis
    points: Sequence[Points] = ()
    lines: Sequence[Line] = ()
    clouds: Sequence[Cloud] = ()

    def __html__(self) -> str:
        return template("plots/plot.html.j2").render(
            plot=self,
            x_ticks=[(self.x.scale.percent(t.value), t.text) for t in self.x.scale.ticks],
            y_ticks=[(100 - self.y.scale.percent(t.value), t.text) for t in self.y.scale.ticks],
            lines=[(line, Markup(self._path(line))) for line in self.lines],
            clouds=[(cloud, Markup(self._dots(cloud))) for cloud in self.clouds],
            groups=[(group, [*self._placed(group)]) for group in self.points],
        )

    def _at(self, x: float, y: float) -> tuple[float, float]:
        """Place of values: per cent from the left and from the top."""
        return self.x.scale.percent(x), 100 - self.y.scale.percent(y)

    def _placed(self, group: Points) -> Iterator[tuple[Point, float, float, tuple[float, ...]]]:
        """Points that have a place, with it and both ends of both bars."""
        for point in group.of:
            left, top = self._at(point.x, point.y)
            if math.isfinite(left) and math.isfinite(top):
                yield point, left, top, self._bars(point)

    def _bars(self, point: Point) -> tuple[float, ...]:
        dx, dy = (
            error if math.isfinite(error) else 0.0 for error in (point.x_error, point.y_error)
        )
        first, bottom = self._at(point.x - dx, point.y - dy)
        last, top = self._at(point.x + dx, point.y + dy)
        # Below zero there is no place on a logarithm.
        ends = (
            first if math.isfinite(first) else 0.0,
            last,
            top,
            bottom if math.isfinite(bottom) else 100.0,
        )
        return tuple(min(100.0, max(0.0, end)) for end in ends)

    def _path(self, line: Line) -> str:
        places = [self._at(x, y) for x, y in zip(line.x, line.y, strict=True)]
        known = [(x, y) for x, y in places if math.isfinite(x) and math.isfinite(y)]
        texts = [f"{10 * x:.1f} {10 * y:.1f}" for x, y in known]
        if line.is_step:
            xs = (f"H{10 * x:.1f}" for x, _ in known[1:])
            ys = (f"V{10 * y:.1f}" for _, y in known[1:])
            return "".join([f"M{texts[0]}", *chain.from_iterable(zip(xs, ys, strict=True))])
        return "M" + "L".join(texts) if texts else ""

    def _dots(self, cloud: Cloud) -> str:
        """A path of dots, each a line without length and with round ends; equal ones are one."""
        places = (self._at(x, y) for x, y in zip(cloud.x, cloud.y, strict=True))
        dots = (f"M{10 * x:.0f} {10 * y:.0f}h0" for x, y in places if math.isfinite(x + y))
        return "".join(dict.fromkeys(dots))
