"""What a recipe measures, where that is kept, and what predictors see of it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa

from tailorbird.errors import MeasurementError, RecipeError
from tailorbird.latency_tables import (
    Configuration,
    Device,
    LatencyTable,
    Profiler,
    Program,
    Record,
    Store,
)
from tailorbird.latency_tables.profiling.space_programs import network_program, programs_of
from tailorbird.latency_tables.tables.configuration import IMPORTED
from tailorbird.pipeline.latency_sources import tabulated as elsewhere
from tailorbird.pipeline.latency_sources.adaptation import Adaptation, Adapted
from tailorbird.pipeline.latency_sources.measuring_setup import Equipment
from tailorbird.predictors import Predictor, TableSum, complete
from tailorbird.predictors.latency.missing_workloads import missing_workloads
from tailorbird.progress import Progress
from tailorbird.recipe import Recipe
from tailorbird.spaces import SearchSpace, encodings


@dataclass(frozen=True)
class Measurement:
    """The latencies of one recipe.

    Attributes:
        recipe: what was asked for.
        space: that the recipe names.
        device: that the recipe names.
        folder: for the store and compiled programs.
        elsewhere: the table, if the recipe names one that was measured elsewhere.
        others: tables of further devices of the search.
        known: tables of devices that latencies of this one are adapted from; none if it is to have
            a whole table.
    """

    recipe: Recipe
    space: SearchSpace
    device: Device
    folder: Path
    elsewhere: Record | None = None
    others: tuple[Record, ...] = ()
    known: tuple[Record, ...] = ()

    def profile(self, networks: Path | None, progress: Progress) -> LatencyTable:
        """Measures every workload of the space, and whole networks, that are not in the table.

        Args:
            networks: Parquet file of rows of the space.
            progress: where it reports to.

        Raises:
            MeasurementError: if any could not be measured.
            EncodingError: if the networks do not fit the space.
            RecipeError: if the table is not measured here.
        """
        if not self.measures:
            raise elsewhere.refusal(self.device.name)
        programs = programs_of(self.space)
        if networks is not None:
            X = encodings.read(networks, self.space)
            programs += [network_program(self.space, row) for row in X]
        return self._timed(programs, progress)

    def adapt(self, n_samples: int, progress: Progress) -> Adapted:
        """Measures the networks that latencies are adapted by, as far as they are not in the table.

        Args:
            n_samples: how many; the first ones are the same, however many.
            progress: where it reports to.

        Raises:
            RecipeError: if the recipe names no tables to adapt from, or they do not fit.
            MeasurementError: if any network could not be measured.
        """
        if not self.adapts:
            raise RecipeError(
                "This recipe names no tables of known devices. Write such as [latency] adapt_from "
                '= ["epyc-avx512"]; `tailorbird devices` lists what comes with the package.'
            )
        adaptation = self._adaptation(n_samples)
        return adaptation.adapted(self._timed(adaptation.programs, progress))

    def adapted(self) -> Adapted:
        """What the networks that were timed say about all others.

        Raises:
            RecipeError: if the tables to adapt from do not fit.
            MissingStepError: if not all of them were timed.
        """
        table = self.table
        return self._adaptation(self.recipe.latency.samples).extended(table).adapted(table)

    def _adaptation(self, n_samples: int) -> Adaptation:
        adaptation = Adaptation(self.space, self.known, n_samples)
        adaptation.refuse_itself(self.configuration)
        return adaptation

    def _timed(self, programs: list[Program], progress: Progress) -> LatencyTable:
        """The table, once all of these are in it."""
        self.equipment.fill(self.store, programs, progress)
        failures = self.table.failures
        failed = [p.key for p in programs if p.key in failures]
        if failed:
            raise MeasurementError(
                f"{len(failed)} of {len(programs)} programs could not be measured "
                f"(first: {failed[0]}: {failures[failed[0]]}). The others are kept."
            )
        return self.table

    def latency(self) -> Predictor:
        """Predicts the latency of any network of the space.

        Raises:
            MissingWorkloadError: if the table lacks a workload that is not to be estimated.
            RecipeError: likewise, where it was measured elsewhere.
            MissingStepError: if it is to be imported, and nothing was; or adapted, and not all
                networks for that were timed.
            TooFewNeighboursError: if there is not enough to estimate a workload from.
        """
        if self.adapts:
            return self.adapted().latency
        if self.is_imported and not self.record.rounds:
            raise elsewhere.nothing_imported(self.device.name)
        table = self.table
        if self.recipe.latency.estimate_missing:
            table = complete(self.space, table)
        if self.elsewhere is not None:
            return elsewhere.table_sum(self.space, self.elsewhere, table)
        if self.is_imported:
            return elsewhere.imported_sum(self.space, self.record, table)
        return TableSum(self.space, table)

    def latencies_elsewhere(self) -> dict[str, TableSum]:
        """Predict the latency of any network of the space on further devices, by their names.

        Raises:
            RecipeError: if a table lacks a workload that is not to be estimated.
            TooFewNeighboursError: if there is not enough to estimate a workload from.
        """
        found = {}
        for record in self.others:
            table = record.table(1)
            if self.recipe.latency.estimate_missing:
                table = complete(self.space, table)
            found[record.device] = elsewhere.table_sum(self.space, record, table)
        return found

    @property
    def n_estimated(self) -> int:
        """Workloads of the space whose latency was never measured, and is predicted."""
        if not self.recipe.latency.estimate_missing:
            return 0
        return len(missing_workloads(self.space, self.table))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of a report on these latencies must not miss."""
        if self.adapts:
            return self._remarks_on_adapting
        found = () if self.measures else elsewhere.remarks(self.space, self.record)
        n, n_all = self.n_estimated, len(self.space.workloads)
        if n == 0:
            return found
        estimated = (
            f"{n} of {n_all} workloads were never measured: their latencies are estimated from "
            f"the others, and the uncertainty of the estimates is in that of every network."
        )
        return (*found, estimated)

    @property
    def _remarks_on_adapting(self) -> tuple[str, ...]:
        adapted = (str(self.adapted()),)
        if missing_workloads(self.space, self.table):
            return adapted
        whole = (
            "All workloads of this device were measured as well: drop [latency] adapt_from to "
            "search with its own table."
        )
        return (*adapted, whole)

    @property
    def adapts(self) -> bool:
        """Whether latencies are adapted from those of other devices."""
        return bool(self.known)

    @property
    def measures(self) -> bool:
        """Whether this recipe fills its table by measuring."""
        return self.elsewhere is None and not self.is_imported

    @property
    def is_imported(self) -> bool:
        """Whether its store holds what others measured."""
        return self.elsewhere is None and self.recipe.latency.runtime == IMPORTED

    @property
    def configuration(self) -> Configuration:
        """Under which this recipe measures, or its table was measured by others."""
        if self.elsewhere is not None:
            return self.elsewhere.configuration
        if self.is_imported:
            asked = self.recipe.device
            return Configuration.imported(asked.name, asked.threads, asked.batch)
        return self.equipment.configuration

    @property
    def record(self) -> Record:
        """All that was measured, or imported, under this recipe's configuration, raw."""
        if self.elsewhere is not None:
            return self.elsewhere
        return self.store.record(self.configuration, self.device.name, self.space.name)

    @property
    def table(self) -> LatencyTable:
        """What predictors see; where nothing is measured, every round that there is."""
        return self.record.table(self.recipe.latency.rounds if self.measures else 1)

    @property
    def url(self) -> str:
        """Of the database, for SQLAlchemy."""
        store = self.recipe.latency.store or str(self.folder / "store.sqlite")
        if "://" in store:
            return store
        return sa.URL.create("sqlite", database=store).render_as_string()

    def opened_url(self) -> str:
        """Of a database that is fit for use; others may keep things in it, too.

        Raises:
            StoreError: if it is torn, or another program's.
        """
        assert self.store  # refuses what is not ours, before anyone writes into it
        return self.url

    @cached_property
    def store(self) -> Store:
        """Where this recipe keeps what is measured."""
        return Store(self.url)

    @property
    def profiler(self) -> Profiler | None:
        """Adds to the table; None where it is not measured here."""
        return self.equipment.profiler(self.store) if self.measures else None

    @cached_property
    def equipment(self) -> Equipment:
        """What fills this recipe's table."""
        return Equipment(self.recipe, self.space, self.device, self.folder)

    def close(self) -> None:
        """Ends processes that compiled programs run in."""
        if "equipment" in self.__dict__:
            self.equipment.close()
