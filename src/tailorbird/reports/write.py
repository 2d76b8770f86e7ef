"""Writer of a report: all of its files, or none."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import pyarrow as pa
from markupsafe import Markup
from plotly.offline import get_plotlyjs
from pyarrow import parquet

from tailorbird.predictors.metrics import accuracy_std
from tailorbird.reports import figures
from tailorbird.reports.checked import Checked
from tailorbird.reports.error_distribution import ErrorDistribution
from tailorbird.reports.summary import non_dominated, notes
from tailorbird.search.result import SearchResult
from tailorbird.storage import strict_json
from tailorbird.storage.atomic import written
from tailorbird.storage.marks import MARK, mark_of


@dataclass(frozen=True, slots=True)
class Report:
    """Content of a report.

    Attributes:
        title: name of the run.
        subtitle: one sentence on space and device.
        front: the checked front.
        random: random networks, checked likewise.
        found: the predicted front, and the exact one.
        call_ms: latency of an empty call; None if the table does not say.
        accuracy: says what the accuracies are.
        n_validation: images behind a validation accuracy; None if that is not known.
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
    found: SearchResult
    call_ms: float | None
    accuracy: str
    n_validation: int | None
    summary: Mapping[str, object]
    provenance: Mapping[str, str]
    recipe: str
    remarks: tuple[str, ...] = ()
    regrets: pd.DataFrame | None = None


FILES = (
    "recipe.toml",
    "front.parquet",
    "front.json",
    "random.parquet",
    "front.png",
    "summary.json",
    "report.html",
)
"""Names of the files of a report; each holds the mark of its run."""


def write(report: Report, folder: Path) -> str:
    """Writes all files or none; only if it is killed between two renames are they of two runs.

    Returns:
        The mark of the run that each file holds.

    Raises:
        WriteError: if one cannot be written.
    """
    front, random = report.front.networks, report.random.networks
    tables = (table.to_json(orient="split") for table in (front, random))
    mark = mark_of((report.recipe, *tables, str(report.provenance.get("weights"))))
    records = front.to_dict(orient="records")
    contents: dict[str, str | bytes] = {
        "recipe.toml": _marked_recipe(report.recipe, mark),
        "front.parquet": _parquet(front, mark),
        "front.json": strict_json.dumps([{**record, MARK: mark} for record in records]) + "\n",
        "random.parquet": _parquet(random, mark),
        "front.png": figures.front_picture(front, random, report.title, {MARK: mark}),
        "summary.json": strict_json.dumps({**report.summary, MARK: mark}) + "\n",
        "report.html": _html(report, mark),
    }
    with written(*(folder / name for name in FILES)) as parts:
        for name, part in zip(FILES, parts, strict=True):
            content = contents[name]
            part.write_bytes(content.encode() if isinstance(content, str) else content)
    return mark


def _marked_recipe(text: str, mark: str) -> str:
    """Puts a mark above a recipe, in place of the one that an earlier report put there."""
    begin = f"# {MARK} = "
    rest = text.partition("\n")[2] if text.startswith(begin) else text
    return f'{begin}"{mark}"\n{rest}'


def _parquet(table: pd.DataFrame, mark: str) -> bytes:
    rows = pa.Table.from_pandas(table, preserve_index=False)
    sink = io.BytesIO()
    parquet.write_table(rows.replace_schema_metadata({**rows.schema.metadata, MARK: mark}), sink)
    return sink.getvalue()


def _html(report: Report, mark: str) -> str:
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
        "hypervolume": figures.hypervolume_figure(report.found),
    }
    errors = 1 - report.random.networks["accuracy_test"].dropna().to_numpy(dtype=np.float64)
    if len(errors):
        pictures["errors"] = figures.error_figure(ErrorDistribution(errors))
    typical_ms = float(np.median(report.random.networks["latency_ms_predicted"]))
    call_ratio = typical_ms / report.call_ms if report.call_ms is not None else None
    in_calls = "not known" if call_ratio is None else f"{call_ratio:,.0f} times an empty call"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(
        (files(__package__) / "report.html.j2").read_text(encoding="utf-8")
    )
    return template.render(
        mark={"name": MARK, "content": mark},
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
        hypervolume_of=report.summary.get("hypervolume_of"),
        has_spaces=both["space"].nunique() > 1,
        accuracy_text=report.accuracy,
        search_text=str(report.found),
        regrets=[] if report.regrets is None else report.regrets.reset_index().to_dict("records"),
        provenance={
            **report.provenance,
            "median random network": in_calls,
        },
        recipe=report.recipe,
    )
