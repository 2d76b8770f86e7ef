"""Latencies from a whole table, of the package or of an exported file."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.errors import DeviceError, MissingStepError, MissingWorkloadError, RecipeError
from tailorbird.latency_tables import (
    Configuration,
    Device,
    LatencyTable,
    Record,
    shipped,
)
from tailorbird.latency_tables.devices import device as devices
from tailorbird.latency_tables.formats import files
from tailorbird.latency_tables.formats.foreign import ForeignTable
from tailorbird.pipeline.latency_sources.prediction import LatencyPrediction
from tailorbird.pipeline.latency_sources.source import Estimates, uncompared
from tailorbird.pipeline.latency_sources.untimed import (
    ESTIMATE,
    UntimedLatency,
    imported_remarks,
    not_measured_here,
)
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.pipeline.own_code.runtime import runtime_name
from tailorbird.recipe import LatencySection
from tailorbird.spaces import SearchSpace

if TYPE_CHECKING:
    from tailorbird.predictors import Predictor


def opened(asked: OpenedRecipe) -> "TabulatedLatency | None":
    """Opens the source of a recipe whose device is the name of a table; None for another one.

    Raises:
        RecipeError: if there is no such table, or the recipe says what is for measured devices.
    """
    recipe, named = asked.recipe, asked.recipe.device
    if named.server is not None or named.name == devices.HERE:
        return None
    if recipe.latency.command is not None and not files.is_file(Path(named.name)):
        return None  # that name is of the device which the command measures
    source = _of_device(named.name, asked, recipe.latency, "[device] and [latency]")
    if recipe.latency.adapt_from:
        raise RecipeError(
            "[latency] adapt_from is for a device that is measured, but that of "
            f"{named.name!r} is a whole table: drop it."
        )
    if named.target is not None:
        raise RecipeError(
            f"[device] target is for a device that is measured, but that of {named.name!r} "
            "is a table: drop it."
        )
    return source


def elsewhere(name: str, asked: OpenedRecipe) -> "TabulatedLatency":
    """Table of a further device of the search.

    Args:
        name: of a device that comes with the package, or the path of an exported file.
        asked: the recipe, with threads, batch, runtime and schedule.

    Raises:
        RecipeError: if there is none, or it was measured otherwise.
    """
    predicted = LatencySection(estimate_missing=asked.recipe.latency.estimate_missing)
    return _of_device(name, asked, predicted, "[search] devices, [device] and [latency]")


def _of_device(
    name: str, asked: OpenedRecipe, predicted: LatencySection, tables: str
) -> "TabulatedLatency":
    """The table of a device, measured as a recipe asks, and predicted from as a section says.

    Args:
        name: of the device, or path of a file.
        asked: the recipe.
        predicted: how latencies are predicted from the table.
        tables: of the recipe in which it says all that, for errors.
    """
    recipe, space = asked.recipe, asked.space
    wanted: dict[str, object] = {
        "threads": recipe.device.threads,
        "batch": recipe.device.batch,
        "runtime": runtime_name(recipe.latency.runtime, asked.home),
    }
    if recipe.latency.schedule is not None:
        wanted["schedule"] = recipe.latency.schedule
    try:
        record = shipped.find(name, recipe.space.name or space.name, wanted)
    except DeviceError as error:
        raise RecipeError(f"{error} What is asked for stands in {tables}.") from None
    device = Device(name, record.configuration.cpu, devices.NOWHERE, recipe.device.threads)
    return TabulatedLatency(space, device, record, predicted, asked.home)


@dataclass(frozen=True)
class TabulatedLatency(UntimedLatency):
    """Latencies predicted from a table that nothing is added to.

    Attributes:
        space: of the networks.
        device: that the table is of.
        source: all that the table holds; its rows count however few rounds they have.
        asked: how latencies are predicted from it.
        home: folder of the recipe, in which users' modules are looked for.
    """

    space: SearchSpace
    device: Device
    source: Record
    asked: LatencySection
    home: Path

    def configuration(self) -> Configuration:
        """Configuration that the table was measured under."""
        return self.source.configuration

    def has_table(self) -> bool:
        """True: the table is there."""
        return True

    def no_table(self) -> MissingStepError:
        """Error that says that the table is empty."""
        return MissingStepError(f"The table of {self.device.name!r} is empty. Name another one.")

    def record(self) -> Record:
        """All that the table holds, raw."""
        return self.source

    def table(self) -> LatencyTable:
        """All rows, however few rounds they have."""
        return self.source.table(1)

    @cached_property
    def _predictor(self) -> "Predictor":
        try:
            return self._prediction.predictor(self._estimates.complete(self.table()))
        except MissingWorkloadError as error:
            raise RecipeError(
                f"{len(error.missing)} of {error.n_needed} workloads of {self.space.name} are not "
                f"in the table of {self.source.device!r}, which is of {self.source.space} (first: "
                f"{error.missing[0]}). Name another table, measure here with [device] name = "
                f'"local", or {ESTIMATE}.'
            ) from None
        except MissingStepError as error:
            raise RecipeError(
                f"{error} But {self.device.name!r} is a table, and nothing is timed for it: drop "
                "[latency] predictor and samples, or name a table that holds these networks."
            ) from None

    def remarks(self) -> tuple[str, ...]:
        """Says where the table is from."""
        table = self.table()
        estimated = self._estimates.remarks(table)
        return (*self._origin(), *self._prediction.remarks, *estimated, *uncompared(table))

    def accept(self, record: Record, file: Path) -> Record:
        """Refuses: nothing is added to such a table."""
        raise not_measured_here(self.device.name)

    def accept_foreign(self, table: ForeignTable, file: Path) -> Record:
        """Refuses: nothing is added to such a table."""
        raise not_measured_here(self.device.name)

    def add(self, record: Record) -> int:
        """Refuses: nothing is added to such a table."""
        raise not_measured_here(self.device.name)

    def _origin(self) -> tuple[str, ...]:
        configuration, space = self.source.configuration, self.source.space
        if configuration.is_imported:
            return imported_remarks(self.source)
        measured = (
            "No network was timed here: latencies are predicted from the table of "
            f"{self.source.device}, measured on {configuration.cpu}.",
        )
        if space == self.space.name:
            return measured
        also = f"That table was measured for {space}; it holds all that {self.space.name} needs."
        return (*measured, also)

    @cached_property
    def _prediction(self) -> LatencyPrediction:
        return LatencyPrediction(self.space, self.asked, self.home)

    @property
    def _estimates(self) -> Estimates:
        return Estimates(self.space, self.asked.estimate_missing)
