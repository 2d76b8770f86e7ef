"""Page of a report: one file of HTML."""

import shlex

import numpy as np
from markupsafe import Markup

from tailorbird.reports import finetuned
from tailorbird.reports.answer import optimism
from tailorbird.reports.error_distribution import ErrorDistribution
from tailorbird.reports.page.cards import cards_of
from tailorbird.reports.page.contents import Contents
from tailorbird.reports.page.data import data_of
from tailorbird.reports.page.devices import GIVEN_AWAY, REGRET_TITLES
from tailorbird.reports.plots.agreement import accuracy_agreement, latency_agreement
from tailorbird.reports.plots.curves import error_plot, hypervolume_plot
from tailorbird.reports.plots.parallel import ParallelPlot
from tailorbird.reports.report import Report
from tailorbird.reports.templates import template, text_of
from tailorbird.storage.marks import MARK


def page_of(contents: Contents, mark: str) -> str:
    """The page as HTML.

    Args:
        contents: of the report.
        mark: of the run, which all files of the report hold.
    """
    report, front, random = contents.report, contents.front, contents.random
    measures, costs = contents.measures, contents.costs
    errors = 1 - random["accuracy_test"].dropna().to_numpy(dtype=np.float64)
    sections = {"which": "Which one?", "fronts": "The front", "networks": "Networks"}
    sections |= {"devices": "Several devices"} if contents.devices else {}
    sections |= {"trust": "Trust", "search": "Search", "repeat": "To repeat it"}
    is_timed = contents.is_known("latency_ms_measured")
    is_tested = contents.is_known("accuracy_test")
    return template("page/page.html.j2").render(
        mark={"name": MARK, "content": mark},
        report=report,
        sections=sections.items(),
        css=Markup(text_of("page/report.css")),
        js=Markup(text_of("page/report.js")),
        symbols=Markup(text_of("page/symbols.svg")),
        notes=contents.notes,
        answer=contents.answer,
        costs=costs,
        cards=cards_of(report, front, measures),
        optimism=optimism(front),
        compared=" and ".join(measure.title for measure in measures),
        has_validation=bool(front["accuracy_validation"].notna().any()),
        alone=contents.alone,
        front_plot=contents.front_plot,
        parallel=ParallelPlot(front, measures) if len(measures) > 2 else None,
        is_drawn=contents.is_drawn,
        is_timed=is_timed,
        columns=contents.columns,
        rows=contents.rows,
        finetuned=Markup(finetuned.section(front, report.finetuned)),
        spaces_text=_spaces_text(report),
        devices=contents.devices,
        given_away=GIVEN_AWAY,
        regret_titles=REGRET_TITLES,
        trust=contents.trust,
        latency_plot=latency_agreement(front, random) if is_timed else "",
        accuracy_plot=accuracy_agreement(front, random) if is_tested else "",
        error_plot=error_plot(ErrorDistribution(errors)) if len(errors) else None,
        hypervolume_plot=hypervolume_plot(report.found) if report.found.front.history else "",
        recipe_name=shlex.quote(report.recipe_path),
        data=Markup(data_of(front, measures, report.limits)),
    )


def _spaces_text(report: Report) -> str:
    """A sentence on what each space of a union has of the hypervolume; empty if there is one."""
    shares = report.summary.get("hypervolume_of")
    if not isinstance(shares, dict) or len(shares["spaces"]) < 2:
        return ""
    each = "; ".join(
        f"networks of {name} alone, {100 * share:.1f} %" for name, share in shares["spaces"].items()
    )
    return (
        "Of the box around all checked networks, in measured latency and test accuracy, the "
        f"checked front dominates {100 * shares['union']:.1f} %; {each}."
    )
