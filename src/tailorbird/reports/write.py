"""The files of a report."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tailorbird.predictors.metrics import accuracy_std
from tailorbird.reports import figures
from tailorbird.reports.check import Checked
from tailorbird.reports.summary import non_dominated, notes
from tailorbird.search.found import Found


@dataclass(frozen=True, slots=True)
class Report:
    """All that people look at after a run.

    Attributes:
        title: name of the run.
        subtitle: one sentence on space and device.
        front: the checked front.
        random: random networks, checked likewise.
        found: the predicted front, and the exact one.
        call_ms: latency of an empty call; None if the table does not say.
        accuracy: says what the accuracies are.
        n_validation: images behind a validation accuracy.
        summary: `summary.json`.
        provenance: of the measurements.
        recipe: text of the recipe as run.
        remarks: what a reader must not miss about the run as a whole.
        regrets: what each device's choice gives away on the others, see `search.regret`; None if
            the search was for one device.
    """

    title: str
    subtitle: str
    front: Checked
    random: Checked
    found: Found
    call_ms: float | None
    accuracy: str
    n_validation: int
    summary: Mapping[str, object]
    provenance: Mapping[str, str]
    recipe: str
    remarks: tuple[str, ...] = ()
    regrets: pd.DataFrame | None = None


def write(report: Report, folder: Path) -> None:
    """Writes each file under a new name and then renames it, so that none is ever half-written."""
    front, random = report.front.networks, report.random.networks

    def picture(path: Path) -> None:
        figures.save_front_picture(front, random, report.title, path)

    writers: dict[str, Callable[[Path], object]] = {
        "recipe.toml": lambda path: path.write_text(report.recipe, encoding="utf-8"),
        "front.parquet": lambda path: front.to_parquet(path, index=False),
        "front.json": lambda path: front.to_json(path, orient="records", indent=1),
        "random.parquet": lambda path: random.to_parquet(path, index=False),
        "front.png": picture,
        "summary.json": lambda path: path.write_text(
            json.dumps(report.summary, indent=1, allow_nan=False) + "\n", encoding="utf-8"
        ),
        "report.html": lambda path: path.write_text(_html(report), encoding="utf-8"),
    }
    for name, writer in writers.items():
        new = folder / f"{name}.new"
        writer(new)
        new.replace(folder / name)


def _html(report: Report) -> str:
    front = report.front.networks
    shown = front.assign(
        latency_ms_rounds=np.ptp(report.front.round_ms, axis=1) / 2,
        non_dominated=non_dominated(front),
        accuracy_validation_std=accuracy_std(
            front["accuracy_validation"].to_numpy(), report.n_validation
        ),
        failure=[report.front.failures.get(name, "") for name in front["architecture"]],
    )
    both = pd.concat([front, report.random.networks], ignore_index=True)
    pictures = {
        "front": figures.front_figure(shown, report.random.networks),
        "latency": figures.latency_figure(both),
        "hypervolume": figures.hypervolume_figure(
            report.found.front.history, report.found.exact_hypervolume, report.found.step
        ),
    }
    typical_ms = float(np.median(report.random.networks["latency_ms_predicted"]))
    call_ratio = typical_ms / report.call_ms if report.call_ms is not None else None
    in_calls = "not known" if call_ratio is None else f"{call_ratio:,.0f} times an empty call"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(
        (files(__package__) / "report.html.j2").read_text(encoding="utf-8")
    )
    return template.render(
        title=report.title,
        subtitle=report.subtitle,
        notes=[*report.remarks, *notes(report.front, report.random, call_ratio)],
        plotly_js=Markup(get_plotlyjs()),
        figures={
            name: Markup(figure.to_html(full_html=False, include_plotlyjs=False))
            for name, figure in pictures.items()
        },
        networks=shown.to_dict(orient="records"),
        n_random=len(report.random.networks),
        summary=report.summary,
        accuracy_text=report.accuracy,
        search_text=str(report.found),
        regrets=[] if report.regrets is None else report.regrets.reset_index().to_dict("records"),
        provenance={
            **report.provenance,
            "median random network": in_calls,
        },
        recipe=report.recipe,
    )
