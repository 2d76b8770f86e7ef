"""A front as lines of a terminal."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tailorbird.reports.measures import Measure, compared_by, non_dominated
from tailorbird.reports.wording import with_error

_MOST = 9  # rows below the titles
_LONGEST = 200  # characters of a network's text, which other commands take


def front_table(front: pd.DataFrame, objectives: Sequence[str]) -> list[str]:
    """The networks of a checked front that no other one beats: ten lines at most, with titles.

    Args:
        front: with the columns of `front.parquet`.
        objectives: of the search, as its tables head them.
    """
    measures = compared_by(objectives, front)
    best = front[non_dominated(front, measures)]
    best = best.sort_values(measures[1].column, kind="stable")
    if len(best) > _MOST:  # those that are evenly spread over their order, the ends among them
        best = best.iloc[np.linspace(0, len(best) - 1, _MOST).round().astype(int)]
    columns = [_column(best, measure) for measure in measures]
    names = [_cut(str(name)) for name in best["architecture"]]
    return _aligned([*columns, ["network", *names]])


def regret_table(summary: Mapping[str, object]) -> list[str]:
    """What each device's choice gives away on each other one; nothing with one device.

    Args:
        summary: of the run.
    """
    regrets = summary.get("regrets")
    pairs = [
        r for r in (regrets if isinstance(regrets, list) else []) if r["chosen_for"] != r["used_on"]
    ]
    if not pairs:
        return []
    points = [f"{100 * r['accuracy_lost_mean']:.2f}" for r in pairs]
    excess = [f"{100 * r['latency_excess_mean']:.1f}" for r in pairs]
    names = [f"{r['chosen_for']}, used on {r['used_on']}" for r in pairs]
    columns = [
        ["accuracy lost, points", *points],
        ["more latency, %", *excess],
        ["networks that were chosen for", *names],
    ]
    title = "What another device's networks give away, in the mean and as predicted:"
    return ["", title, *_aligned(columns), ""]


def _column(networks: pd.DataFrame, measure: Measure) -> list[str]:
    values, errors = measure.values(networks), measure.errors(networks)
    texts = [with_error(v, e, "") for v, e in zip(values, errors, strict=True)]
    return [measure.label, *texts]


def _cut(text: str) -> str:
    half = (_LONGEST - 3) // 2
    return text if len(text) <= _LONGEST else f"{text[:half]}...{text[-half:]}"


def _aligned(columns: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns of texts, all but the last one aligned to the right."""
    widths = [max(map(len, column)) for column in columns[:-1]]
    lines = []
    for *cells, last in zip(*columns, strict=True):
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        lines.append("  ".join([*padded, last]))
    return lines
