"""Contents of a page: what a report holds, as figures, tables and sentences need it."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from tailorbird.errors import naming
from tailorbird.predictors.metrics import accuracy_std
from tailorbird.reports.answer import anchors_alone, answer
from tailorbird.reports.checked import Checked
from tailorbird.reports.measures import Measure, compared_by, non_dominated
from tailorbird.reports.page.devices import Devices, devices_of
from tailorbird.reports.page.table import Column, Row, columns_of, rows_of
from tailorbird.reports.page.trust import distrusted, trust_of
from tailorbird.reports.plots.front import front_plot
from tailorbird.reports.plots.plot import Plot
from tailorbird.reports.report import Report
from tailorbird.reports.summary import notes
from tailorbird.search.result import SearchResult
from tailorbird.spaces import FloatArray


@dataclass(frozen=True)
class Contents:
    """A report with what follows from it.

    Attributes:
        report: its content.
    """

    report: Report

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """Accuracy, then what networks cost."""
        columns = [objective.column for objective in self.report.found.front.objectives]
        return compared_by(columns, self.report.front.networks)

    @property
    def accuracy(self) -> Measure:
        """What networks are worth."""
        return self.measures[0]

    @property
    def costs(self) -> tuple[Measure, ...]:
        """What they cost, one measure at least."""
        return self.measures[1:]

    @cached_property
    def front(self) -> pd.DataFrame:
        """The front with all errors, and whether a network is beaten by none of it."""
        front = self._with_errors(self.report.front)
        return front.assign(is_non_dominated=non_dominated(front, self.measures))

    @cached_property
    def random(self) -> pd.DataFrame:
        """Random networks, likewise."""
        return self._with_errors(self.report.random)

    @cached_property
    def is_drawn(self) -> list[bool]:
        """True for networks of the front that have a point, as both of their figures are known."""
        cost, accuracy = (m.values(self.front) for m in (self.costs[0], self.accuracy))
        return [math.isfinite(a) and math.isfinite(b) for a, b in zip(cost, accuracy, strict=True)]

    @cached_property
    def columns(self) -> list[Column]:
        """Columns of the table of networks."""
        return columns_of(self.front, self.measures)

    @cached_property
    def rows(self) -> list[Row]:
        """Rows of that table."""
        return rows_of(self.front, self.columns)

    @cached_property
    def front_plot(self) -> Plot:
        """Accuracy over the first cost."""
        cost = self.costs[0]
        predicted = _predicted(self.report.found, cost)
        return front_plot(
            self.front, self.random, self.report.supplied, predicted, cost, self.accuracy
        )

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a reader must not miss."""
        report = self.report
        typical_ms = float(np.median(report.random.networks["latency_ms_predicted"]))
        ratio = typical_ms / report.call_ms if report.call_ms is not None else None
        trust = naming(distrusted(report.summary), Path(report.recipe_path))
        seen = notes(report.front, report.random, self.measures, ratio, report.supplied)
        every = (*([trust] if trust else []), *report.remarks, *seen)
        return tuple(dict.fromkeys(every))

    @cached_property
    def alone(self) -> str:
        """A sentence on anchors before they were stitched; empty if there are none."""
        return anchors_alone(self.report.supplied, self.both)

    @cached_property
    def devices(self) -> Devices | None:
        """Several devices side by side; None if the search was for one."""
        return devices_of(self.report, self.front, self.random, self.accuracy)

    @cached_property
    def answer(self) -> str:
        """A sentence on the ends of the front, and on what the way between them buys."""
        return answer(self.front, self.costs[0], self.accuracy)

    @property
    def trust(self) -> tuple[str, ...]:
        """How far figures are to be trusted."""
        return trust_of(self.report)

    def is_known(self, column: str) -> bool:
        """True if a figure of any checked network is known."""
        return bool(self.both[column].notna().any())

    @cached_property
    def both(self) -> pd.DataFrame:
        """All checked networks: the front, then random ones."""
        frames = [self.report.front.networks, self.report.random.networks]
        return pd.concat(frames, ignore_index=True)

    def _with_errors(self, checked: Checked) -> pd.DataFrame:
        networks = checked.networks
        validation = networks["accuracy_validation"].to_numpy(dtype=np.float64)
        return networks.assign(
            latency_ms_rounds=np.ptp(checked.round_ms, axis=1) / 2,
            accuracy_validation_std=accuracy_std(validation, self.report.n_validation),
            failure=[checked.failures.get(name, "") for name in networks["architecture"]],
        )


def _predicted(found: SearchResult, cost: Measure) -> tuple[FloatArray, FloatArray]:
    """Costs and accuracies of the predicted front; none if it was searched by others."""
    columns = [objective.column for objective in found.front.objectives]
    values = dict(zip(columns, found.front.values.T, strict=True))
    if "accuracy" not in values or cost.objective not in values:
        return np.empty(0), np.empty(0)
    return values[cost.objective], 100 * values["accuracy"]
