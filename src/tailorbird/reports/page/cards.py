"""Cards of a page: one network each, with its figures, its picture and how to get it."""

import shlex
from dataclasses import dataclass
from operator import itemgetter

import pandas as pd

from tailorbird.reports.answer import chosen_by
from tailorbird.reports.measures import Measure
from tailorbird.reports.plots.network import NetworkPicture
from tailorbird.reports.report import Report
from tailorbird.reports.wording import plain, with_error

_NAMED = 3  # of the dearest workloads
_SMALLEST_SHARE = 0.01  # of the time that is worth a word


@dataclass(frozen=True, slots=True)
class Card:
    """A network.

    Attributes:
        number: in the report's table.
        name: its text.
        figures: what it is and what it costs, with titles.
        picture: of its blocks; None if its space draws none.
        dearest: sentence on where its time goes; empty if that is not known.
        command: that writes it.
    """

    number: int
    name: str
    figures: tuple[tuple[str, str], ...]
    picture: NetworkPicture | None
    dearest: str
    command: str


def cards_of(report: Report, front: pd.DataFrame, measures: tuple[Measure, ...]) -> list[Card]:
    """Cards of all networks of a front, the most accurate one first."""
    order = (-pd.Series(chosen_by(front))).argsort(kind="stable")
    return [_card(report, front.iloc[[number]], int(number), measures) for number in order]


def _card(
    report: Report, network: pd.DataFrame, number: int, measures: tuple[Measure, ...]
) -> Card:
    row = network.iloc[0]
    name = str(row["architecture"])
    outline = report.outlines.get(name)
    picture = None
    if outline is not None:
        picture = NetworkPicture(f"the network {name}", outline, report.workload_ms)
    return Card(
        number,
        name,
        (*_figures(network, measures), *_more(row, measures)),
        picture,
        _dearest(report, name, float(row["latency_ms_predicted"])),
        f"tailorbird export {shlex.quote(report.recipe_path)} --architecture {shlex.quote(name)}",
    )


def _figures(network: pd.DataFrame, measures: tuple[Measure, ...]) -> list[tuple[str, str]]:
    return [
        (
            measure.title,
            with_error(measure.values(network)[0], measure.errors(network)[0], measure.unit),
        )
        for measure in measures
    ]


def _more(row: "pd.Series[float]", measures: tuple[Measure, ...]) -> list[tuple[str, str]]:
    """Predictions beside what was measured, and sizes."""
    shown = {measure.column for measure in measures}
    figures = list[tuple[str, str]]()
    accuracy = with_error(100 * row["accuracy_predicted"], 100 * row["accuracy_std"], "%")
    ms = with_error(row["latency_ms_predicted"], row["latency_ms_std"], "ms")
    if not {"accuracy_predicted", "latency_ms_predicted"} <= shown:
        figures.append(("predicted", f"{accuracy}, {ms}"))
    is_known = row["accuracy_validation"] == row["accuracy_validation"]
    if is_known and "accuracy_validation" not in shown:
        std = 100 * row["accuracy_validation_std"]
        validation = with_error(100 * row["accuracy_validation"], std, "%")
        figures.append(("on validation images", validation))
    sizes = f"{plain(row['n_macs'] / 1e6)} million, {plain(row['n_params'] / 1e6)} million"
    figures.append(("multiply-adds, parameters", sizes))
    if row["failure"]:
        figures.append(("could not be measured", str(row["failure"])))
    return figures


def _dearest(report: Report, name: str, total_ms: float) -> str:
    """Sentence on the workloads that take most of a network's time."""
    outline = report.outlines.get(name)
    if outline is None:
        return ""
    ms: dict[str, float] = {}
    for block in outline.blocks:
        key = block.workload.key if block.workload else ""
        if key in report.workload_ms:
            ms[key] = ms.get(key, 0.0) + report.workload_ms[key][0]
    if not ms or not total_ms > 0:
        return ""
    shares = {key: of / total_ms for key, of in sorted(ms.items(), key=itemgetter(1), reverse=True)}
    told = [f"{key} ({share:.0%})" for key, share in shares.items() if share > _SMALLEST_SHARE]
    return f"Where its predicted time goes: {', '.join(told[:_NAMED])}." if told else ""
