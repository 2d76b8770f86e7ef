"""Parallel coordinates: networks as lines through an axis for each of several measures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tailorbird.reports.measures import Measure
from tailorbird.reports.plots.scale import Scale
from tailorbird.reports.templates import template
from tailorbird.reports.wording import plain, with_error


@dataclass(frozen=True, slots=True)
class ParallelAxis:
    """A vertical axis, better values above.

    Attributes:
        at: per cent from the left.
        title: of the measure.
        top: best value, with its unit.
        bottom: worst value.
    """

    at: float
    title: str
    top: str
    bottom: str


@dataclass(frozen=True, slots=True)
class ParallelPlot:
    """A checked front in parallel coordinates.

    Attributes:
        networks: with a column `is_non_dominated`; their rows are numbered from 0.
        measures: two or more.
    """

    networks: pd.DataFrame
    measures: Sequence[Measure]

    def __html__(self) -> str:
        return template("plots/parallel.html.j2").render(axes=self._axes(), lines=self._lines())

    def _axes(self) -> list[ParallelAxis]:
        axes = []
        for i, measure in enumerate(self.measures):
            values = measure.values(self.networks)
            known = values[~pd.isna(values)]
            ends = (known.min(), known.max()) if len(known) else (math.nan, math.nan)
            worst, best = ends if measure.is_better_high else ends[::-1]
            at = 100 * i / (len(self.measures) - 1)
            axes.append(ParallelAxis(at, measure.label, plain(best), plain(worst)))
        return axes

    def _lines(self) -> list[tuple[int, str, bool, str]]:
        """Number, path, whether it is not dominated, and text of each network that has a place."""
        heights, texts = [], []
        for measure in self.measures:
            values, errors = measure.values(self.networks), measure.errors(self.networks)
            scale = range_of(measure, self.networks)
            percent = [scale.percent(value) for value in values]
            heights.append([100 - p if measure.is_better_high else p for p in percent])
            texts.append(
                [with_error(v, e, measure.unit) for v, e in zip(values, errors, strict=True)]
            )
        lines = []
        for number, name in enumerate(self.networks["architecture"]):
            places = [height[number] for height in heights]
            if all(map(math.isfinite, places)):
                step = 1000 / (len(places) - 1)
                path = "L".join(f"{i * step:.0f} {10 * y:.1f}" for i, y in enumerate(places))
                told = ", ".join(text[number] for text in texts)
                best = bool(self.networks["is_non_dominated"].iloc[number])
                lines.append((number, f"M{path}", best, f"{name}: {told}"))
        return lines


def range_of(measure: Measure, networks: pd.DataFrame) -> Scale:
    """The scale from the least to the largest value of networks, if they differ."""
    known = [value for value in measure.values(networks) if math.isfinite(value)]
    scale = Scale.around(known, may_be_log=not measure.is_better_high)
    return scale if len({*known}) < 2 else Scale(min(known), max(known), scale.is_log)
