"""Latencies from a whole table, of the package or of an exported file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tailorbird.errors import DeviceError, MissingStepError, MissingWorkloadError, RecipeError
from tailorbird.latency_tables import (
    Configuration,
    Device,
    LatencyTable,
    Program,
    Record,
    shipped,
)
from tailorbird.latency_tables.devices import device as devices
from tailorbird.latency_tables.formats.foreign import ForeignTable
from tailorbird.pipeline.database import RunDatabase
from tailorbird.pipeline.latency_sources.prediction import LatencyPrediction
from tailorbird.pipeline.latency_sources.source import Estimates, nothing_to_adapt_from
from tailorbird.pipeline.latency_sources.untimed import (
    ESTIMATE,
    imported_remarks,
    not_measured_here,
    untimed,
)
from tailorbird.pipeline.own_code.runtime import runtime_name
from tailorbird.progress import Progress
from tailorbird.recipe import LatencySection, Recipe
from tailorbird.spaces import SearchSpace

if TYPE_CHECKING:
    from tailorbird.pipeline.latency_sources.adaptation import Adapted
    from tailorbird.predictors import Predictor


def opened(
    recipe: Recipe,
    home: Path,
    space: SearchSpace,
    database: RunDatabase,
    warn: Callable[[str], object],
) -> "TabulatedLatency | None":
    """Opens the source of a recipe whose device is the name of a table; None for another one.

    Raises:
        RecipeError: if there is no such table, or the recipe says what is for measured devices.
    """
    asked = recipe.device
    if asked.server is not None or asked.name == devices.HERE:
        return None
    source = _of_device(asked.name, recipe, home, space, recipe.latency)
    if recipe.latency.adapt_from:
        raise RecipeError(
            "[latency] adapt_from is for a device that is measured, but that of "
            f"{asked.name!r} is a whole table: drop it."
        )
    if asked.target is not None:
        raise RecipeError(
            f"[device] target is for a device that is measured, but that of {asked.name!r} "
            "is a table: drop it."
        )
    if recipe.latency.n_samples or not recipe.latency.entry.needs_workloads:
        raise RecipeError(
            f"[latency] predictor = {recipe.latency.predictor!r} learns from networks that are "
            f"timed, but the device {asked.name!r} is a table, and nothing is: drop predictor and "
            "samples."
        )
    return source


def elsewhere(name: str, recipe: Recipe, home: Path, space: SearchSpace) -> "TabulatedLatency":
    """The table of another device than the recipe's, whose sums are searched beside.

    Args:
        name: of a device that comes with the package, or the path of an exported file.
        recipe: with threads, batch, runtime and schedule.
        home: folder of the recipe, in which users' modules are looked for.
        space: that the recipe names.

    Raises:
        RecipeError: if there is none, or it was measured otherwise.
    """
    predicted = LatencySection(estimate_missing=recipe.latency.estimate_missing)
    return _of_device(name, recipe, home, space, predicted)


def _of_device(
    name: str, recipe: Recipe, home: Path, space: SearchSpace, predicted: LatencySection
) -> "TabulatedLatency":
    """The table of a device, measured as a recipe asks, and predicted from as a section says."""
    asked: dict[str, object] = {
        "threads": recipe.device.threads,
        "batch": recipe.device.batch,
        "runtime": runtime_name(recipe.latency.runtime, home),
    }
    if recipe.latency.schedule is not None:
        asked["schedule"] = recipe.latency.schedule
    try:
        record = shipped.find(name, recipe.space.name or space.name, asked)
    except DeviceError as error:
        raise RecipeError(f"{error} What is asked for stands in [device] and [latency].") from None
    device = Device(name, record.configuration.cpu, devices.NOWHERE, recipe.device.threads)
    return TabulatedLatency(space, device, record, predicted, home)


@dataclass(frozen=True)
class TabulatedLatency:
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

    step: ClassVar = "table"
    runs_networks: ClassVar = False
    losses: ClassVar[tuple[str, ...]] = ()

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

    def check(self) -> None:
        """Tries a predictor of the user's own, if the recipe names one."""
        self._prediction.check(self.configuration())

    def obtain(self, progress: Progress) -> None:
        """Refuses a table that lacks what the space needs."""
        self.predictor()

    def profile(self, networks: Path | None, progress: Progress) -> LatencyTable:
        """Refuses: nothing is measured."""
        raise not_measured_here(self.device.name)

    def adapt(self, n_samples: int | None, progress: Progress) -> "Adapted":
        """Refuses: there are no tables to adapt from."""
        raise nothing_to_adapt_from()

    def timed(self, programs: Sequence[Program], rounds: int, progress: Progress) -> LatencyTable:
        """An empty table: nothing is timed."""
        return untimed(self.device, self.configuration())

    def predictor(self) -> "Predictor":
        """The predictor that the recipe names; its table is completed if that is asked for."""
        return self._predictor

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

    def n_estimated(self) -> int:
        """Number of workloads that were never measured, and are predicted."""
        return self._estimates.n(self.table())

    def remarks(self) -> tuple[str, ...]:
        """Says where the table is from."""
        estimated = self._estimates.remarks(self.table())
        return (*self._origin(), *self._prediction.remarks, *estimated)

    def summary(self) -> dict[str, object]:
        """Empty: there is nothing to add to `summary.json`."""
        return {}

    def accept(self, record: Record, file: Path) -> Record:
        """Refuses: nothing is added to such a table."""
        raise not_measured_here(self.device.name)

    def accept_foreign(self, table: ForeignTable, file: Path) -> Record:
        """Refuses: nothing is added to such a table."""
        raise not_measured_here(self.device.name)

    def add(self, record: Record) -> int:
        """Refuses: nothing is added to such a table."""
        raise not_measured_here(self.device.name)

    def close(self) -> None:
        """Does nothing: there are no processes."""

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
