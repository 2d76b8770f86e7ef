"""The report of a run: what was found and checked, with where all of it is from."""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from tailorbird.latency_tables import LatencyTable
from tailorbird.latency_tables.tables.record import Record
from tailorbird.pipeline.accuracy_sources.source import AccuracySource
from tailorbird.pipeline.basis import basis_of
from tailorbird.pipeline.latency_sources.source import LatencySource
from tailorbird.pipeline.pictures import outlines_of, workload_ms_of
from tailorbird.recipe import Recipe
from tailorbird.reports import Checked, Report, summarise
from tailorbird.reports.answer import damaged
from tailorbird.reports.finetuned import records
from tailorbird.reports.hypervolumes import hypervolumes
from tailorbird.reports.measures import compared_by, non_dominated
from tailorbird.reports.page.contents import Contents
from tailorbird.search.result import SearchResult
from tailorbird.spaces import CALL, IntArray, SearchSpace
from tailorbird.spaces.unions import label_of, members_of
from tailorbird.storage.databases.url import without_password

_PACKAGES = ("tailorbird", "torch", "pymoo", "scikit-learn", "numpy", "optuna")


@dataclass(frozen=True, slots=True)
class Reporter:
    """Makes reports of one recipe.

    Attributes:
        recipe: that was run.
        recipe_text: as the user wrote it.
        space: that the recipe names.
        latency: latencies of its networks.
        accuracy: accuracies of its networks.
        path: of the recipe, as its user named it, or of its copy beside the report.
    """

    recipe: Recipe
    recipe_text: str
    space: SearchSpace
    latency: LatencySource
    accuracy: AccuracySource
    path: Path = Path("recipe.toml")

    def report(
        self,
        found: SearchResult,
        front: Checked,
        random: Checked,
        regrets: pd.DataFrame | None,
        seconds: Mapping[str, float],
        remarks: tuple[str, ...],
        finetuned: pd.DataFrame,
        X: IntArray,
        supplied: pd.DataFrame,
    ) -> Report:
        """Builds the report of a run.

        Args:
            found: by the search.
            front: checked.
            random: networks, checked likewise.
            regrets: what each device's choice gives away on the others; None with one device.
            seconds: that each step took.
            remarks: what a reader must not miss.
            finetuned: networks that were trained on alone.
            X: canonical rows of the front, (n, d).
            supplied: anchors before they were stitched; none if nothing is.
        """
        summary = self._summary(found, front, random, seconds)
        summary["finetuned"] = records(finetuned)
        if regrets is not None:
            summary["regrets"] = regrets.reset_index().to_dict(orient="records")
        record, table = self.latency.record(), self.latency.table()
        summary |= self._trust(record, table)
        call = record.table(1).entries.get(CALL.key)
        report = Report(
            title=self.recipe.name,
            subtitle=f"{self.space.size:,} networks of {self.space.name}, in batches of "
            f"{self.recipe.device.batch} on {record.configuration.cpu}.",
            front=front,
            random=random,
            found=found,
            call_ms=call.median_ms if call else None,
            accuracy=self.accuracy.description(),
            n_validation=self.accuracy.n_validation(),
            summary=summary,
            provenance=self._provenance(record),
            recipe=self._safe_text(),
            remarks=(*remarks, *self._idle_spaces(front, found)),
            regrets=regrets,
            finetuned=finetuned,
            recipe_path=_argument(self.path),
            limits={str(of): limit for of, limit in self.recipe.search.limits.items()},
            devices=(self.latency.device.name, *self.recipe.search.devices),
            outlines=outlines_of(self.space, X),
            workload_ms=workload_ms_of(table),
            supplied=supplied,
        )
        contents = Contents(report)
        summary["answer"] = contents.answer
        summary["anchors_lost"] = damaged(supplied, contents.both)
        return report

    def _summary(
        self,
        found: SearchResult,
        front: Checked,
        random: Checked,
        seconds: Mapping[str, float],
    ) -> dict[str, object]:
        """Figures of a run, and what its accuracies and latencies are."""
        summary = summarise(front, random, found, seconds, self.latency.n_estimated())
        summary |= self.latency.summary() | basis_of(self.latency, self.accuracy)
        summary["hypervolume_of"] = hypervolumes(front.networks, random.networks, self._labels)
        preprocessing = self.accuracy.preprocessing()
        summary["preprocessing"] = (
            None if preprocessing is None else dataclasses.asdict(preprocessing)
        )
        return summary

    def _trust(self, record: Record, table: LatencyTable) -> dict[str, object]:
        """How far the rows of the table are to be trusted; not of one that others wrote."""
        is_ours = not record.configuration.is_imported
        return {
            "n_rows": len(table.entries),
            "share_trusted": table.share_trusted if is_ours else None,
            "is_measured_here": self.latency.runs_networks,
        }

    @property
    def _labels(self) -> tuple[str, ...]:
        """Names of the spaces that the recipe names, before settings."""
        return tuple(map(label_of, members_of(self.space)))

    def _idle_spaces(self, front: Checked, found: SearchResult) -> Iterator[str]:
        """Yields a sentence on each space of a union that no network of the front is of."""
        columns = [objective.column for objective in found.front.objectives]
        measures = compared_by(columns, front.networks)
        best = {*front.networks["space"][non_dominated(front.networks, measures)]}
        for label in self._labels:
            if best and label not in best:
                yield f"No network of {label} is on the checked front, as predicted and measured."

    def _provenance(self, record: Record) -> dict[str, str]:
        preprocessing = self.accuracy.preprocessing()
        return {
            **dataclasses.asdict(record.configuration),
            **record.provenance,
            "weights": self.accuracy.fingerprint(),
            "seed": str(self.recipe.seed),
            "packages": ", ".join(_versions()),
            **({} if preprocessing is None else {"images": str(preprocessing)}),
        }

    def _safe_text(self) -> str:
        """The recipe without a password, fit for files that people pass on."""
        store = self.recipe.latency.store or ""
        return without_password(self.recipe_text, store) if "://" in store else self.recipe_text


def _versions() -> Iterator[str]:
    """Yields packages that decide what a run finds, with their versions."""
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):  # of a checkout that is not installed
            yield f"{name} {version(name)}"


def _argument(path: Path) -> str:
    """A path as commands take it: one that begins with a dash would be an option."""
    text = os.fsencode(path).decode(errors="replace")
    return f"./{text}" if text.startswith("-") else text
