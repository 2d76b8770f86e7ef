"""Page on the fronts of several runs, and the same for a terminal."""

from pathlib import Path

import numpy as np
from markupsafe import Markup

from tailorbird.errors import RecipeError
from tailorbird.reports.compared_runs import ComparedRuns, FrontOfRun
from tailorbird.reports.plots.plot import COLOURS, MARKS, Axis, Plot, Point, Points
from tailorbird.reports.plots.scale import Scale
from tailorbird.reports.templates import template, text_of
from tailorbird.reports.wording import with_error
from tailorbird.storage import atomic
from tailorbird.storage.marks import MARK, has_mark, mark_of


def write(compared: ComparedRuns, path: Path) -> None:
    """Writes the page.

    Raises:
        RecipeError: if a file is there that is no such page.
        WriteError: if it cannot be written.
    """
    if path.is_file() and not has_mark(path):
        raise RecipeError(
            f"{str(path)!r} is there, and is no page of compared runs. Name another with --to."
        )
    mark = mark_of(run.networks.to_json() for run in compared.runs)
    dominated = compared.dominated
    page = template("page/compared_runs.html.j2").render(
        mark={"name": MARK, "content": mark},
        names=", ".join(run.name for run in compared.runs),
        remarks=compared.remarks,
        plot=_plot(compared),
        runs=_rows(compared),
        columns=[*dominated.columns],
        dominated=[
            (name, [f"{share:.0%}" if name != of else "" for of, share in row.items()])
            for name, row in dominated.iterrows()
        ],
        css=Markup(text_of("page/report.css")),
        symbols=Markup(text_of("page/symbols.svg")),
    )
    atomic.write(path, page)


def lines(compared: ComparedRuns) -> list[str]:
    """Lines of a terminal."""
    heads = ("run", "networks", "hypervolume", "without luck", "largest", "beaten by another")
    beaten = compared.dominated.to_numpy().copy()
    np.fill_diagonal(beaten, 0.0)
    cells = [
        (*row, f"{share:.0%} at most")
        for row, share in zip(_rows(compared), beaten.max(axis=0), strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heads, *cells)
    )
    return [*padded, *compared.remarks]


def _rows(compared: ComparedRuns) -> list[tuple[str, str, str, str, str]]:
    return [
        (
            str(name),
            f"{row['n_networks']:.0f}",
            f"{row['hypervolume']:.3f}",
            f"{row['without_luck']:.3f} ({row['low']:.3f} to {row['high']:.3f})",
            f"{row['probability_largest']:.0%}",
        )
        for name, row in compared.hypervolumes.iterrows()
    ]


def _plot(compared: ComparedRuns) -> Plot:
    n = len(COLOURS)
    points = [
        Points(run.name, MARKS[i % n], COLOURS[(i + i // n) % n], [*_points(run)])
        for i, run in enumerate(compared.runs)
    ]
    every = [point for group in points for point in group.of]
    return Plot(
        "fronts",
        "test accuracy over latency",
        Axis("latency, ms", Scale.around([p.x for p in every], may_be_log=True), "faster"),
        Axis(
            "test accuracy, %",
            Scale.around([p.y for p in every]),
            "more accurate",
            is_better_high=True,
        ),
        points=points,
    )


def _points(run: FrontOfRun) -> list[Point]:
    rows = zip(
        run.networks["architecture"],
        run.ms,
        100 * run.accuracy,
        100 * run.accuracy_std,
        strict=True,
    )
    return [
        Point(x, y, f"{name}: {with_error(y, dy, '%')}, {with_error(x, 0.0, 'ms')}", 0.0, dy)
        for name, x, y, dy in rows
    ]
