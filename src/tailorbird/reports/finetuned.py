"""Finetuned networks beside a checked front: a table of their own, and a section of the report."""

import io
import json
import math
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tailorbird.reports.plots.finetuned import finetuned_plot
from tailorbird.reports.templates import template
from tailorbird.storage import strict_json
from tailorbird.storage.atomic import written

FILE = "finetuned.parquet"
ACCURACIES_OF, LATENCIES_OF = BASIS = "accuracies_of", "latencies_of"
"""Columns, and keys of `summary.json`, that must be equal for networks to stand in one report."""

# Reports of earlier versions have other marks: they lack what the section is drawn with.
_BEGIN, _END = "<!-- finetuned networks: begin -->", "<!-- finetuned networks: end -->"


def read(folder: Path) -> pd.DataFrame:
    """Finetuned networks of a run, a row each; none if there is no such file, or it is torn."""
    try:
        return pd.read_parquet(folder / FILE)
    except (OSError, pa.ArrowException, ValueError):
        return pd.DataFrame()


def records(networks: pd.DataFrame) -> list[dict[str, object]]:
    """What `summary.json` has of finetuned networks."""
    return [{str(k): v for k, v in row.items()} for row in networks.to_dict(orient="records")]


def section(front: pd.DataFrame, networks: pd.DataFrame) -> str:
    """Section of a report, between marks by which another one can take its place.

    Args:
        front: the checked front.
        networks: finetuned; the section is empty if there are none.
    """
    if networks.empty:
        return f"{_BEGIN}{_END}"
    content = template("page/finetuned.html.j2").render(
        networks=networks.to_dict(orient="records"), figure=finetuned_plot(front, networks)
    )
    return f"{_BEGIN}{content}{_END}"


def write(folder: Path, networks: pd.DataFrame) -> bool:
    """Writes the table, and puts it into the report that is there: all files or none.

    Returns:
        False if there is no report that it could be put into.

    Raises:
        WriteError: if a file cannot be written.
    """
    sink = io.BytesIO()
    networks.to_parquet(sink, index=False)
    contents: dict[str, bytes] = {FILE: sink.getvalue()}
    with suppress(OSError, ValueError, KeyError, pa.ArrowException):
        contents |= _in_report(folder, networks)
    with written(*(folder / name for name in contents)) as parts:
        for content, part in zip(contents.values(), parts, strict=True):
            part.write_bytes(content)
    return len(contents) > 1


def _in_report(folder: Path, networks: pd.DataFrame) -> dict[str, bytes]:
    """Files of a report with these networks in them.

    Raises:
        OSError: if there is none.
        KeyError: if it does not say what it is of, as earlier ones.
        ValueError: if it has no place for them, or is of other accuracies or latencies.
    """
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    begin, _, rest = (folder / "report.html").read_text(encoding="utf-8").partition(_BEGIN)
    _, mark, end = rest.partition(_END)
    if not mark or not isinstance(summary, dict):
        raise ValueError(_END)
    for key in BASIS:
        if {*networks[key]} != {summary[key]}:
            raise ValueError(key)
    new = section(pd.read_parquet(folder / "front.parquet"), networks)
    text = strict_json.dumps({**summary, "finetuned": records(networks)}) + "\n"
    return {"summary.json": text.encode(), "report.html": f"{begin}{new}{end}".encode()}


def sentences(network: dict[str, object]) -> list[str]:
    """What finetuning did to one network, for people.

    Args:
        network: a row of the table.
    """
    n = _Row(network)
    after = "after" if network["finetuned_has_changed"] else "kept as it was"
    lines = [
        f"{network['architecture']}: {n.percent('accuracy_test_before')} before, "
        f"{n.percent('accuracy_test')} {after} on {network['n_test']} test images "
        f"({n.points('accuracy_test_gain')}); {n.ms}."
    ]
    is_known = n.is_known("accuracy_test_gain_std")
    if not network["finetuned_has_changed"]:
        enough = " by a standard error or more" if is_known else ""
        lines.append(
            f"{network['finetuned_epochs']} epochs did not raise its accuracy of "
            f"{n.percent('accuracy_validation_before')} on validation images{enough}, so its "
            "weights are those of before."
        )
    if not is_known:
        lines.append(
            "Standard errors are not known, as there is no score of parts of the images: weights "
            "that are better at all on validation images are kept."
        )
    if not n.is_known("scratch_epochs"):  # nor could it be tried
        return lines
    epochs = n.number("scratch_epochs")
    if not n.is_known("scratch_lead"):
        return [
            *lines,
            "Whether it would be better trained from scratch is not known; `--against-scratch` "
            f"tells, in {epochs:.0f} epochs, as many passes as all training had.",
        ]
    alone = f"Trained from scratch for {epochs:.0f} epochs, all passes that its weights had, it is"
    lead = n.points("scratch_lead")
    if network["scratch_is_better"]:
        lines.append(
            f"{alone} better by two standard errors or more ({lead}): if that is worth the time, "
            "train it alone."
        )
    else:
        lines.append(f"{alone} not surely better ({lead}).")
    return lines


class _Row:
    """Numbers of one finetuned network as texts."""

    def __init__(self, network: dict[str, object]) -> None:
        self._network = network

    def number(self, column: str) -> float:
        return float(str(self._network[column]))

    def is_known(self, column: str) -> bool:
        return self._network[column] is not None and not math.isnan(self.number(column))

    def percent(self, column: str) -> str:
        return f"{100 * self.number(column):.2f} %"

    def points(self, column: str) -> str:
        std = self.number(f"{column}_std")
        error = f" ± {100 * std:.2f}" if self.is_known(f"{column}_std") else ""
        return f"{100 * self.number(column):+.2f}{error} points"

    @property
    def ms(self) -> str:
        if self.is_known("latency_ms_measured"):
            return f"{self.number('latency_ms_measured'):.4g} ms measured"
        return f"{self.number('latency_ms_predicted'):.4g} ms predicted"
