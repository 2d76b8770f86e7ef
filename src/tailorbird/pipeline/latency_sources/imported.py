"""Latencies that others measured, imported into the database of a run."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.errors import DeviceError, MissingStepError, MissingWorkloadError, RecipeError
from tailorbird.latency_tables import Configuration, Device, LatencyTable, Record
from tailorbird.latency_tables.devices import device as devices
from tailorbird.latency_tables.formats import files
from tailorbird.latency_tables.formats.foreign import ForeignTable
from tailorbird.latency_tables.formats.imported import record_of
from tailorbird.latency_tables.tables.configuration import IMPORTED
from tailorbird.pipeline.database import RunDatabase
from tailorbird.pipeline.latency_sources.prediction import LatencyPrediction
from tailorbird.pipeline.latency_sources.source import (
    Estimates,
    same_configuration,
)
from tailorbird.pipeline.latency_sources.untimed import (
    ESTIMATE,
    UntimedLatency,
    imported_remarks,
)
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.recipe import Recipe
from tailorbird.spaces import SearchSpace

if TYPE_CHECKING:
    from tailorbird.predictors import Predictor

_IMPORT = "`tailorbird table import RECIPE FILE`"


def opened(asked: OpenedRecipe) -> "ImportedLatency | None":
    """Opens the source of a recipe that asks for an imported table; None for another one.

    Raises:
        RecipeError: if it does not say of which device the table is.
    """
    recipe, named = asked.recipe, asked.recipe.device
    if recipe.latency.runtime != IMPORTED or files.is_file(Path(named.name)):
        return None
    try:
        device = devices.others(named.name, named.threads)
    except DeviceError:
        raise RecipeError(
            f"With [latency] runtime = {IMPORTED!r}, [device] name must say of which device the "
            f"table is, in your words, but got {named.name!r}. To measure this machine, write "
            'runtime = "tvm".'
        ) from None
    return ImportedLatency(recipe, asked.home, asked.space, device, asked.database)


@dataclass(frozen=True)
class ImportedLatency(UntimedLatency):
    """Latencies predicted from those that others stated.

    Attributes:
        recipe: with what is asked of them.
        home: folder of the recipe, in which users' modules are looked for.
        space: that the recipe names.
        device: of which others measured a table.
        database: where it is imported into.
    """

    recipe: Recipe
    home: Path
    space: SearchSpace
    device: Device
    database: RunDatabase

    def configuration(self) -> Configuration:
        """Configuration of others: what they do not say is not known."""
        asked = self.recipe.device
        return Configuration.imported(asked.name, asked.threads, asked.batch)

    def has_table(self) -> bool:
        """True if anything may have been imported."""
        return self.database.may_exist()

    def no_table(self) -> MissingStepError:
        """Names the command that imports."""
        return MissingStepError(
            f"There is no table of {self.device.name!r} yet. Import it with {_IMPORT}."
        )

    def record(self) -> Record:
        """All that was imported, raw."""
        store = self.database.store()
        return store.record(self.configuration(), self.device.name, self.space.name)

    def table(self) -> LatencyTable:
        """Every value that was stated."""
        return self.record().table(1)

    @cached_property
    def _predictor(self) -> "Predictor":
        record = self.record()
        if not record.rounds:
            raise self.no_table()
        try:
            return self._prediction.predictor(self._estimates.complete(record.table(1)))
        except MissingWorkloadError as error:
            raise RecipeError(
                f"{len(error.missing)} of {error.n_needed} workloads of {self.space.name} are not "
                f"in the table of {record.device!r} (first: {error.missing[0]}). Import them with "
                f"{_IMPORT}, or {ESTIMATE}."
            ) from None

    def remarks(self) -> tuple[str, ...]:
        """Says where the table is from, and what it does not say."""
        return (
            *imported_remarks(self.record()),
            *self._prediction.remarks,
            *self._estimates.remarks(self.table()),
        )

    def accept(self, record: Record, file: Path) -> Record:
        """Returns the content of an exported file of such a table."""
        return same_configuration(record, self.configuration(), file)

    def accept_foreign(self, table: ForeignTable, file: Path) -> Record:
        """Returns what others measured as a record, if it is of the recipe's batch size."""
        batch = self.recipe.device.batch
        if table.batch is not None and table.batch != batch:
            raise RecipeError(
                f"The latencies in {str(file)!r} are of batches of {table.batch}, but this recipe "
                f"asks for [device] batch = {batch}. Change that to search with them."
            )
        return record_of(table.stated, table.provenance, self.configuration(), self.space.name)

    def add(self, record: Record) -> int:
        """Keeps what was accepted; returns how many rounds and failures are new."""
        self.__dict__.pop("_predictor", None)  # of fewer rows
        return self.database.take_in(record)

    @cached_property
    def _prediction(self) -> LatencyPrediction:
        return LatencyPrediction(self.space, self.recipe.latency, self.home)

    @property
    def _estimates(self) -> Estimates:
        return Estimates(self.space, self.recipe.latency.estimate_missing)
