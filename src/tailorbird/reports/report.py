"""Content of a report."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from tailorbird.reports.checked import Checked
from tailorbird.search.result import SearchResult
from tailorbird.spaces.outline import Outline


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
        finetuned: networks of this run that were trained on alone, see `reports.finetuned`.
        recipe_path: of the recipe, as its user named it, or of its copy beside the report.
        limits: the most that networks may cost, as the recipe says, by objective.
        devices: names of the device of the run, and of further ones of the search.
        outlines: of networks of the front that can be drawn, by their text.
        workload_ms: milliseconds that a workload adds, and their standard deviation, by its key.
        supplied: anchors before they were stitched, with the columns of checked networks; none if
            nothing is stitched.
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
    finetuned: pd.DataFrame = field(default_factory=pd.DataFrame)
    recipe_path: str = "recipe.toml"
    limits: Mapping[str, float] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    outlines: Mapping[str, Outline] = field(default_factory=dict)
    workload_ms: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    supplied: pd.DataFrame = field(default_factory=pd.DataFrame)
