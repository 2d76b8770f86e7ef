"""Runtime, tuning and device that fill a measured table."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import DeviceError, MeasurementError, RecipeError
from tailorbird.latency_tables import (
    Configuration,
    Device,
    Profiler,
    Program,
    Runtime,
    Store,
)
from tailorbird.latency_tables.devices.target import host_triple
from tailorbird.latency_tables.runtime import Timing
from tailorbird.pipeline.latency_sources.source import Library
from tailorbird.pipeline.own_code.command import CommandKind, try_command
from tailorbird.pipeline.own_code.runtime import runtime_of
from tailorbird.pipeline.planned_work import evenly
from tailorbird.pipeline.run_folder import LOG
from tailorbird.progress import NoProgress, Progress
from tailorbird.recipe import LatencySection, Recipe
from tailorbird.spaces import SearchSpace

if TYPE_CHECKING:
    from torch import nn

    from tailorbird.latency_tables.runtimes.tvm.tuning.tuning import Tuning


_TRIED = 3  # programs, to tell how long all take


@dataclass(frozen=True)
class MeasuringSetup:
    """Runtime, tuner and device of one recipe, each made on first use.

    Attributes:
        recipe: what was asked for.
        home: folder of the recipe, in which users' modules are looked for.
        space: that the recipe names.
        device: that the recipe names.
        folder: for compiled programs, tuning, and what the device says of itself.
    """

    recipe: Recipe
    home: Path
    space: SearchSpace
    device: Device
    folder: Path

    def fill(self, store: Store, programs: Sequence[Program], progress: Progress) -> None:
        """Tunes, if that is asked for, and measures what the store lacks.

        Raises:
            RecipeError: as `profiler`, or if nothing can be compiled for the device.
            MeasurementError: if nothing can be measured, or what tuning decided is damaged.
        """
        try:
            if self._tuning is not None:
                workloads = [Program.of(workload) for workload in self.space.workloads]
                self._tuning.run(workloads, progress)
            profiler = self.profiler(store)
            for spent in profiler.profile(programs, self.recipe.latency.rounds, progress):
                LOG.info("%s", spent)
        except DeviceError as error:
            raise RecipeError(f"[device] target: {error}") from None

    def profiler(self, store: Store) -> Profiler:
        """Fills a table in a store.

        Raises:
            RecipeError: if programs for its target do not run on this machine, the device is away,
                or another one, or the command that measures does not do what it must.
        """
        return Profiler(self.runtime, self._met, self.recipe.device.batch, store)

    def seconds(self, programs: Sequence[Program], rounds: int) -> float:
        """Seconds that it takes, about, to compile, check and time programs, from a few that are.

        Args:
            programs: of which some are measured once, into a store that is thrown away.
            rounds: that each would have.

        Raises:
            RecipeError: as `profiler`.
            MeasurementError: if any of those that are tried cannot be measured.
        """
        tried = [programs[i] for i in evenly(len(programs), _TRIED)]
        if not tried:
            return 0.0
        with tempfile.TemporaryDirectory() as folder:
            store = Store(f"sqlite:///{Path(folder) / 'store.sqlite'}")
            profiler = self.profiler(store)
            begin = time.perf_counter()
            spent = profiler.profile(tried, 1, NoProgress())
            wall_s = time.perf_counter() - begin
            failures = store.table(profiler.configuration, self.device.name, 1).failures
        if failures:
            key, reason = next(iter(failures.items()))
            raise MeasurementError(
                f"Programs must compile and compute what torch does, but of {len(tried)} that were "
                f"tried {len(failures)} cannot be measured (first: {key}: {reason.rstrip('.')}). "
                "Change the module, or take another [latency] runtime."
            )
        prepared_s = sum(one.compile_s + one.check_s for one in spent)
        timed_s = sum(one.time_s for one in spent)
        once_s = max(0.0, wall_s - prepared_s - timed_s)  # such as for processes to start
        return once_s + len(programs) * (prepared_s + rounds * timed_s) / len(tried)

    def configuration(self) -> Configuration:
        """Configuration of all that it measures."""
        return self.runtime.configuration(self.device, self.recipe.device.batch)

    def library(self, network: "nn.Module", images: NDArray[np.float32]) -> Library | None:
        """A network compiled for the device, run and timed there; None if a command measures.

        Raises:
            RecipeError: as `profiler`.
            MeasurementError: if it cannot be compiled or run.
        """
        if self.recipe.latency.command is not None:
            return None
        runtime, device, inputs = self.runtime, self._met, (images,)
        made = runtime.compile(network, inputs, device)
        outputs = runtime.run(made, inputs, device)
        if outputs is None:
            return None
        samples = runtime.measure(made, inputs, device, 1)
        weights = made.path.with_suffix(".safetensors")
        return Library(made.path, weights, outputs[0], float(np.median(samples.ms)))

    @property
    def losses(self) -> tuple[str, ...]:
        """What a reader must know of a device that went away meanwhile and came back."""
        lost = self.runtime.losses if "runtime" in self.__dict__ else ()
        if not lost:
            return ()
        return (
            f"The device {self.device.server} was lost and came back ({len(lost)}x): what it was "
            f"doing was done again (first: {lost[0]}).",
        )

    def close(self) -> None:
        """Ends the runtime's processes."""
        if "runtime" in self.__dict__:
            self.runtime.close()

    @cached_property
    def runtime(self) -> Runtime:
        """The runtime that the recipe names."""
        asked = self.recipe.latency
        kind = (
            runtime_of(asked.runtime, self.home)
            if asked.command is None
            else CommandKind(asked.command, self.home, asked.command_timeout_seconds)
        )
        return kind.on(self.device, self.folder / "compiled", Timing(), self._tuning)

    @cached_property
    def _met(self) -> Device:
        """The device, once it is known to be there, and to be what it was."""
        if self.device.server is not None:
            from tailorbird.latency_tables.runtimes.tvm.rpc.device import met_again

            return met_again(self.device, self.folder / "device.json")
        if self.recipe.latency.command is not None:
            try_command(self.runtime, self.device, self.recipe.latency.command)
            return self.device
        if self.device.target.triple != host_triple():
            raise RecipeError(
                f"Programs for {self.device.target} do not run on this machine: name the device's "
                "server in [device] endpoint, or compile them only, with `tailorbird compile "
                "RECIPE FOLDER`."
            )
        return self.device

    @cached_property
    def _tuning(self) -> "Tuning | None":
        keys = [workload.key for workload in self.space.workloads]
        return _tuning_of(self.recipe.latency, self.device, keys, self.folder / "tuning")


def _tuning_of(
    asked: LatencySection, device: Device, keys: Sequence[str], folder: Path
) -> "Tuning | None":
    """How kernels are tuned; None where the static rule schedules all.

    Args:
        asked: of a recipe.
        device: that is tuned for.
        keys: of the programs.
        folder: of databases, unless the recipe names one.

    Raises:
        RecipeError: if the device is behind a server.
    """
    if asked.n_trials is None:
        return None
    if device.server is not None:
        raise RecipeError(
            f"[latency] schedule = {asked.schedule!r} tunes for this machine only: for a "
            'remote device write schedule = "static".'
        )
    from tailorbird.latency_tables.runtimes.tvm.tuning.tuning import Tuning

    where = Path(asked.tuning) if asked.tuning else folder
    return Tuning(where, device, tuple(keys), asked.n_trials, asked.tuning_minutes)
