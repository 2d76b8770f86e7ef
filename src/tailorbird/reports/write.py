"""Writer of a report: all of its files, or none."""

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from tailorbird.reports.page.contents import Contents
from tailorbird.reports.page.markdown import markdown_of
from tailorbird.reports.page.page import page_of
from tailorbird.reports.paper import pictures_of
from tailorbird.reports.report import Report
from tailorbird.storage import strict_json
from tailorbird.storage.atomic import written
from tailorbird.storage.marks import MARK, mark_of, torn

FILES = (
    "recipe.toml",
    "front.parquet",
    "front.json",
    "random.parquet",
    "front.png",
    "summary.json",
    "report.html",
    "front.svg",
    "report.md",
)
"""Names of the files of a report; each holds the mark of its run."""

_LATER = ("front.svg", "report.md")  # which reports of earlier versions do not have


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
    made = Contents(report)
    pictures = pictures_of(made.front_plot, report.title, (MARK, mark))
    contents: dict[str, str | bytes] = {
        "recipe.toml": _marked_recipe(report.recipe, mark),
        "front.parquet": _parquet(front, mark),
        "front.json": strict_json.dumps([{**record, MARK: mark} for record in records]) + "\n",
        "random.parquet": _parquet(random, mark),
        "front.png": pictures["png"],
        "summary.json": strict_json.dumps({**report.summary, MARK: mark}) + "\n",
        "report.html": page_of(made, mark),
        "front.svg": pictures["svg"],
        "report.md": markdown_of(made, mark),
    }
    with written(*(folder / name for name in FILES)) as parts:
        for name, part in zip(FILES, parts, strict=True):
            content = contents[name]
            part.write_bytes(content.encode() if isinstance(content, str) else content)
    return mark


def torn_report(folder: Path) -> str | None:
    """Returns why the files of a report cannot be of one run; None if they may be."""
    names = (name for name in FILES if name not in _LATER or (folder / name).exists())
    return torn([folder / name for name in names])


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
