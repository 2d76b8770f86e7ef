"""Latencies of a device that is measured: this machine, or one behind a server."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import DeviceError, MeasurementError, MissingStepError, RecipeError
from tailorbird.latency_tables import Configuration, Device, LatencyTable, Program, Record
from tailorbird.latency_tables.devices import device as devices
from tailorbird.latency_tables.devices.rpc_address import RpcAddress
from tailorbird.latency_tables.formats.foreign import ForeignTable
from tailorbird.latency_tables.profiling.space_programs import network_program, programs_of
from tailorbird.pipeline.database import RunDatabase
from tailorbird.pipeline.latency_sources.measuring_setup import MeasuringSetup
from tailorbird.pipeline.latency_sources.prediction import LatencyPrediction
from tailorbird.pipeline.latency_sources.source import (
    Estimates,
    Library,
    nothing_to_adapt_from,
    same_configuration,
    uncompared,
)
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.pipeline.planned_work import PlannedWork
from tailorbird.progress import Progress
from tailorbird.recipe import DeviceSection, Recipe
from tailorbird.registry.runtimes import require_packages
from tailorbird.reports.checked import ROUNDS
from tailorbird.spaces import SearchSpace, encodings

if TYPE_CHECKING:
    from torch import nn

    from tailorbird.pipeline.latency_sources.adaptation import Adapted
    from tailorbird.predictors import Predictor


def opened(asked: OpenedRecipe) -> "MeasuredLatency":
    """Opens the source of a recipe that no other kind of source is for.

    Raises:
        RecipeError: if there is no such device.
    """
    device = measured_device(asked.recipe, asked.database.folder, asked.warn)
    return MeasuredLatency(asked.recipe, asked.home, asked.space, device, asked.database)


def measured_device(recipe: Recipe, folder: Path, warn: Callable[[str], object]) -> Device:
    """Finds this machine, or the device behind the server or command of a recipe.

    Args:
        recipe: that names it.
        folder: of the run, where it is kept what a device says of itself.
        warn: told what a server means that others can reach.

    Raises:
        RecipeError: if there is none.
    """
    asked = recipe.device
    try:
        if recipe.latency.command is not None and asked.name != devices.HERE:
            return devices.others(asked.name, asked.threads)
        if asked.server is None:
            return devices.find(asked.name, asked.threads, asked.target)
        return _behind(asked.server, asked, folder, warn)
    except DeviceError as error:
        raise RecipeError(f"[device]: {error}") from None


def _behind(
    server: RpcAddress, asked: DeviceSection, folder: Path, warn: Callable[[str], object]
) -> Device:
    """The device behind a server, under its name in the recipe, its key or its address."""
    from tailorbird.latency_tables.runtimes.tvm.rpc.device import find

    if server.risk:
        warn(server.risk)
    name = asked.name if "name" in asked.model_fields_set else asked.key or asked.endpoint or ""
    return find(name, server, asked.threads, asked.target, folder / "device.json")


@dataclass(frozen=True)
class MeasuredLatency:
    """Latencies predicted from workloads and networks that are timed on the device.

    Attributes:
        recipe: with what is asked of them.
        home: folder of the recipe, in which users' modules are looked for.
        space: that the recipe names.
        device: that the recipe names.
        database: where measurements are kept, beside compiled programs.
    """

    recipe: Recipe
    home: Path
    space: SearchSpace
    device: Device
    database: RunDatabase

    step: ClassVar = "profile"
    runs_networks: ClassVar = True

    def require(self) -> None:
        """Refuses to go on without the packages of the runtime that the recipe names."""
        require_packages(self.recipe.latency.runtime)

    def configuration(self) -> Configuration:
        """Configuration that this recipe measures under."""
        return self.setup.configuration()

    def has_table(self) -> bool:
        """True if anything may have been measured."""
        return self.database.may_exist()

    def no_table(self) -> MissingStepError:
        """Names the command that measures."""
        return MissingStepError(
            "There is no table for this recipe yet. Make it with `tailorbird profile RECIPE`."
        )

    def record(self) -> Record:
        """All that was measured under this recipe's configuration, raw."""
        store = self.database.store()
        return store.record(self.configuration(), self.device.name, self.space.name)

    def table(self) -> LatencyTable:
        """Rows that have as many rounds as the recipe asks for."""
        return self.record().table(self.recipe.latency.rounds)

    def check(self) -> None:
        """Tries a predictor of the user's own, if the recipe names one."""
        self._prediction.check(self.configuration())

    def obtain(self, progress: Progress) -> None:
        """Measures all that the predictor needs and is not in the table."""
        self.profile(None, progress)

    def profile(self, networks: Path | None, progress: Progress) -> LatencyTable:
        """Measures workloads and whole networks that are not in the table."""
        programs = self._programs
        if networks is not None:
            X = encodings.read(networks, self.space)
            programs += [network_program(self.space, row) for row in X]
        return self.filled(programs, progress)

    @property
    def _needed_programs(self) -> list[Program]:
        """Programs that the predictor needs."""
        return self._programs

    @property
    def _programs(self) -> list[Program]:
        """Programs that are measured unless others are asked for."""
        needed = programs_of(self.space) if self.recipe.latency.entry.needs_workloads else []
        return [*needed, *self._prediction.programs]

    def measure_again(self, progress: Progress) -> int:
        """Voids the distrusted rows of programs that the predictor needs, and measures these anew.

        Their samples are kept, and count no more. What is missing is measured as well.
        """
        entries, store = self.record().table(1).entries, self.database.store()
        needed = self._needed_programs
        todo = [p for p in needed if p.key not in entries or not entries[p.key].is_trusted]
        doubted = [program.key for program in todo if program.key in entries]
        if doubted:
            self.setup.profiler(store)  # which refuses a device that is away, before rows are void
            session = store.begin(devices.provenance(self.device))
            for key in doubted:
                why = "; ".join(entries[key].doubts)
                reason = f"it is measured again, as it was distrusted ({why})"
                store.fail(key, self.configuration(), session, reason)
        if todo:
            self.filled(todo, progress)
        return len(todo)

    def needed(self) -> LatencyTable:
        """Rows of programs that the predictor needs."""
        return self.table().only({program.key for program in self._needed_programs})

    def filled(self, programs: Sequence[Program], progress: Progress) -> LatencyTable:
        """Measures programs that are missing, and returns the table.

        Raises:
            MeasurementError: if any could not be measured.
        """
        self.setup.fill(self.database.store(), programs, progress)
        self.__dict__.pop("_predictor", None)  # of fewer rows
        table = self.table()
        failed = [p.key for p in programs if p.key in table.failures]
        if failed:
            raise MeasurementError(
                f"{len(failed)} of {len(programs)} programs could not be measured "
                f"(first: {failed[0]}: {table.failures[failed[0]]}). The others are kept."
            )
        return table

    def planned(self, n_networks: int) -> tuple[PlannedWork, ...]:
        """Programs that are not in the table, and networks that reports time whole."""
        needed, rounds = self._needed_programs, self.recipe.latency.rounds
        entries = self.table().entries if self.has_table() else {}
        left = [program for program in needed if program.key not in entries]
        what = f"{len(left)} of {len(needed)} programs, {rounds} rounds each"
        whole = f"up to {n_networks} networks are built, evaluated and timed whole"
        if self.recipe.latency.n_trials is not None and left:  # and nothing is tried untuned
            minutes = self.recipe.latency.tuning_minutes
            tuned = f"{what}, once kernels are tuned, for up to {minutes:g} minutes"
            return (PlannedWork("measure", tuned), PlannedWork("report", whole))
        measured = PlannedWork("measure", what, self.setup.seconds(left, rounds))
        if self.recipe.space.programs is not None:
            return (measured,)
        tried = [network_program(self.space, row) for row in self.space.landmarks]
        each_s = self.setup.seconds(tried, ROUNDS) / max(1, len(tried))
        return (measured, PlannedWork("report", whole, n_networks * each_s))

    def adapt(self, n_samples: int | None, progress: Progress) -> "Adapted":
        """Refuses: there are no tables to adapt from."""
        raise nothing_to_adapt_from()

    def timed(self, programs: Sequence[Program], rounds: int, progress: Progress) -> LatencyTable:
        """The table with these programs timed, or failed."""
        return self.setup.profiler(self.database.store()).timed(programs, rounds, progress)

    def predictor(self) -> "Predictor":
        """The predictor that the recipe names; its table is completed if that is asked for."""
        return self._predictor

    @cached_property
    def _predictor(self) -> "Predictor":
        """Predictor from all that was measured when it was first asked for.

        Raises:
            MissingStepError: if not all networks that it learns from were timed.
            MeasurementError: if nothing follows from them.
        """
        table = self.table()
        if self.recipe.latency.entry.needs_workloads:
            table = self._estimates.complete(table)
        return self._prediction.predictor(table)

    def n_estimated(self) -> int:
        """Number of workloads that were never measured, and are predicted."""
        return self._estimates.n(self.table())

    def remarks(self) -> tuple[str, ...]:
        """Says how latencies are predicted, and how many are estimated or unchecked, if any."""
        table = self.table()
        estimated = self._estimates.remarks(table)
        return (*self._prediction.remarks, *estimated, *uncompared(table))

    def summary(self) -> dict[str, object]:
        """How latencies are predicted."""
        return self._prediction.summary

    def accept(self, record: Record, file: Path) -> Record:
        """The content of a file that was measured under the same configuration."""
        return same_configuration(record, self.configuration(), file)

    def accept_foreign(self, table: ForeignTable, file: Path) -> Record:
        """Refuses what others measured, in a way of their own."""
        raise RecipeError(
            f"What {str(file)!r} holds was not measured by this recipe, so it is not added to what "
            'was. To search with it, write [latency] runtime = "imported", and in [device] name of '
            "which device it is."
        )

    def add(self, record: Record) -> int:
        """Keeps what was accepted; returns how many rounds and failures are new."""
        self.__dict__.pop("_predictor", None)  # of fewer rows
        return self.database.take_in(record)

    @property
    def losses(self) -> tuple[str, ...]:
        """Sentences on a device that went away meanwhile and came back."""
        return self.setup.losses

    def library(self, network: "nn.Module", images: NDArray[np.float32]) -> Library | None:
        """The network compiled for the device, if TVM is what measures."""
        asked = self.recipe.latency
        return self.setup.library(network, images) if asked.runtime == "tvm" else None

    def close(self) -> None:
        """Ends processes that compiled programs run in."""
        if "setup" in self.__dict__:
            self.setup.close()

    @cached_property
    def setup(self) -> MeasuringSetup:
        """Runtime, tuning and device."""
        folder = self.database.folder
        return MeasuringSetup(self.recipe, self.home, self.space, self.device, folder)

    @cached_property
    def _prediction(self) -> LatencyPrediction:
        return LatencyPrediction(self.space, self.recipe.latency, self.home)

    @property
    def _estimates(self) -> Estimates:
        return Estimates(self.space, self.recipe.latency.estimate_missing)
