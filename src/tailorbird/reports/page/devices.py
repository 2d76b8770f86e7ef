"""Section of a page on several devices: the front on each, and how far they agree."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tailorbird.predictors.metrics import kendall_tau
from tailorbird.reports.measures import Measure, latency_of, on_device
from tailorbird.reports.plots.plot import COLOURS, MARKS, Axis, Plot, Point, Points
from tailorbird.reports.plots.scale import Scale
from tailorbird.reports.report import Report
from tailorbird.reports.wording import with_error
from tailorbird.spaces import FloatArray

REGRET_TITLES = (
    "chosen for",
    "used on",
    "accuracy lost, points",
    "more latency, %",
    "hypervolume kept, %",
)
GIVEN_AWAY = (
    "What is given away by using on one device the networks that were chosen for another, as "
    "predicted: accuracy against the most accurate network that is as fast, latency against the "
    "fastest that is as accurate; in the mean, and at worst."
)


@dataclass(frozen=True, slots=True)
class Devices:
    """Several devices side by side.

    Attributes:
        names: of the device of the run, and of the others.
        plot: the front on each.
        n: networks that ranks are compared over.
        agreement: each device with its rank correlation with each, as texts.
        regrets: rows of texts: chosen for, used on, and what that gives away.
    """

    names: tuple[str, ...]
    plot: Plot
    n: int
    agreement: tuple[tuple[str, tuple[str, ...]], ...]
    regrets: tuple[tuple[str, ...], ...]


def devices_of(
    report: Report, front: pd.DataFrame, random: pd.DataFrame, accuracy: Measure
) -> Devices | None:
    """The section; None if the search was for one device."""
    if len(report.devices) < 2:
        return None
    both = pd.concat([front, random], ignore_index=True)
    measures = [latency_of(front), *map(on_device, report.devices[1:])]
    order = random if len(random) > 1 else both
    # Latencies of all are predicted: what is measured on one device is no other order there.
    predicted = [order["latency_ms_predicted"].to_numpy(), *(m.values(order) for m in measures[1:])]
    agreement = tuple(
        (name, tuple(_tau(a, b) for b in predicted))
        for name, a in zip(report.devices, predicted, strict=True)
    )
    plot = _plot(front, measures, report.devices, accuracy)
    return Devices(report.devices, plot, len(order), agreement, _regrets(report.regrets))


def _plot(
    front: pd.DataFrame, measures: list[Measure], names: tuple[str, ...], accuracy: Measure
) -> Plot:
    y, errors = accuracy.values(front), accuracy.errors(front)
    groups, every = [], [y[:0]]
    for i, (name, measure) in enumerate(zip(names, measures, strict=True)):
        x, dx = measure.values(front), measure.errors(front)
        every.append(x)
        rows = zip(front["architecture"], x, y, dx, errors, strict=True)
        points = [
            Point(
                a,
                b,
                f"{text} on {name}: {with_error(b, db, '%')}, {with_error(a, da, 'ms')}",
                da,
                0.0,
                number,
            )
            for number, (text, a, b, da, db) in enumerate(rows)
        ]
        title = f"{name}, {measure.title.split()[0]}"
        groups.append(Points(title, MARKS[i % len(MARKS)], COLOURS[i % len(COLOURS)], points))
    scale = Scale.around(np.concatenate(every), may_be_log=True)
    return Plot(
        "on-devices",
        f"{accuracy.title} over latency on each device",
        Axis("latency, ms", scale, "faster"),
        accuracy.axis(y),
        points=groups,
    )


def _tau(a: FloatArray, b: FloatArray) -> str:
    tau = kendall_tau(a, b)
    return f"{tau:.2f}" if np.isfinite(tau) else "not known"


def _regrets(regrets: pd.DataFrame | None) -> tuple[tuple[str, ...], ...]:
    """Rows of pairs of different devices."""
    if regrets is None:
        return ()
    return tuple(
        (
            str(r["chosen_for"]),
            str(r["used_on"]),
            f"{100 * r['accuracy_lost_mean']:.2f} ({100 * r['accuracy_lost_worst']:.2f})",
            f"{100 * r['latency_excess_mean']:.1f} ({100 * r['latency_excess_worst']:.1f})",
            f"{100 * r['hypervolume_share']:.1f}",
        )
        for r in regrets.reset_index().to_dict("records")
        if r["chosen_for"] != r["used_on"]
    )
