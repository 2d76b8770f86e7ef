"""The report of a run: what was found and checked, with where all of it is from."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from tailorbird.latency_tables.tables.record import Record
from tailorbird.pipeline.accuracy_sources.source import AccuracySource
from tailorbird.pipeline.basis import basis_of
from tailorbird.pipeline.latency_sources.source import LatencySource
from tailorbird.recipe import Recipe
from tailorbird.reports import Checked, Report, summarise
from tailorbird.reports.finetuned import records
from tailorbird.reports.hypervolumes import hypervolumes
from tailorbird.reports.summary import non_dominated
from tailorbird.search.result import SearchResult
from tailorbird.spaces import CALL, SearchSpace
from tailorbird.spaces.unions import label_of, members_of
from tailorbird.storage.databases.url import without_password


@dataclass(frozen=True, slots=True)
class Reporter:
    """Makes reports of one recipe.

    Attributes:
        recipe: that was run.
        recipe_text: as the user wrote it.
        space: that the recipe names.
        latency: latencies of its networks.
        accuracy: accuracies of its networks.
    """

    recipe: Recipe
    recipe_text: str
    space: SearchSpace
    latency: LatencySource
    accuracy: AccuracySource

    def report(
        self,
        found: SearchResult,
        front: Checked,
        random: Checked,
        regrets: pd.DataFrame | None,
        seconds: Mapping[str, float],
        remarks: tuple[str, ...],
        finetuned: pd.DataFrame,
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
        """
        summary = summarise(front, random, found, seconds, self.latency.n_estimated())
        summary |= self.latency.summary() | basis_of(self.latency, self.accuracy)
        summary["hypervolume_of"] = hypervolumes(front.networks, random.networks, self._labels)
        summary["finetuned"] = records(finetuned)
        preprocessing = self.accuracy.preprocessing()
        summary["preprocessing"] = (
            None if preprocessing is None else dataclasses.asdict(preprocessing)
        )
        if regrets is not None:
            summary["regrets"] = regrets.reset_index().to_dict(orient="records")
        record = self.latency.record()
        call = record.table(1).entries.get(CALL.key)
        return Report(
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
            remarks=(*remarks, *self._idle_spaces(front)),
            regrets=regrets,
            finetuned=finetuned,
        )

    @property
    def _labels(self) -> tuple[str, ...]:
        """Names of the spaces that the recipe names, before settings."""
        return tuple(map(label_of, members_of(self.space)))

    def _idle_spaces(self, front: Checked) -> Iterator[str]:
        """Yields a sentence on each space of a union that no network of the front is of."""
        best = {*front.networks["space"][non_dominated(front.networks)]}
        for label in self._labels:
            if best and label not in best:
                yield f"No network of {label} is on the checked front, as predicted and measured."

    def _provenance(self, record: Record) -> dict[str, str]:
        preprocessing = self.accuracy.preprocessing()
        return {
            **dataclasses.asdict(record.configuration),
            **record.provenance,
            "weights": self.accuracy.fingerprint(),
            **({} if preprocessing is None else {"images": str(preprocessing)}),
        }

    def _safe_text(self) -> str:
        """The recipe without a password, fit for files that people pass on."""
        store = self.recipe.latency.store or ""
        return without_password(self.recipe_text, store) if "://" in store else self.recipe_text
