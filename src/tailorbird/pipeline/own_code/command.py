"""The command that a recipe has programs timed by."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.errors import DeviceError, MeasurementError, RecipeError, shown
from tailorbird.latency_tables import Device, Program, Runtime
from tailorbird.latency_tables.profiling.numerics import check
from tailorbird.latency_tables.runtime import Timing
from tailorbird.latency_tables.runtimes.command import CommandRuntime
from tailorbird.latency_tables.runtimes.command.command_line import CommandLine

if TYPE_CHECKING:
    from torch import nn

    from tailorbird.latency_tables.runtimes.tvm.tuning.tuning import Tuning

_KEY = "[latency] command"


@dataclass(frozen=True, slots=True)
class CommandKind:
    """Runtimes by one command.

    Attributes:
        command: as the recipe has it.
        home: folder of the recipe, in which the command runs.
        limit_s: seconds that one run of it may take.
    """

    command: str
    home: Path
    limit_s: float

    @property
    def name(self) -> str:
        """Runtime in the configuration of everything that it measures."""
        return CommandRuntime.name

    def on(self, device: Device, folder: Path, timing: Timing, tuning: "Tuning | None") -> Runtime:
        """A runtime for a device; the command times as it does.

        Raises:
            RecipeError: if there is no such program.
        """
        try:
            command = CommandLine.parse(self.command)
            return CommandRuntime(command, self.home, folder, self.limit_s)
        except DeviceError as error:
            raise RecipeError(f"{_KEY}: {error}") from None


def try_command(runtime: Runtime, device: Device, command: str) -> None:
    """Runs the command once, for a small linear layer.

    Args:
        runtime: that runs it.
        device: of the recipe.
        command: as the recipe has it.

    Raises:
        RecipeError: if it fails, hangs, prints something else than milliseconds, or computes
            something else than torch.
    """
    program = Program("trial", _linear, ((2, 8),))
    try:
        module, inputs = program.module(), program.examples(0)
        artifact = runtime.compile(module, inputs, device)
        try:
            if not check(program, module, runtime, artifact, device, n_inputs=1):
                runtime.measure(artifact, inputs, device, n_copies=1)
        finally:
            artifact.delete()
    except MeasurementError as error:
        raise RecipeError(
            f"{_KEY} = {shown(command)} was tried on a small linear layer: {error}. Mend that, "
            "then run again: what was measured before is kept."
        ) from None


def _linear() -> "nn.Module":
    from torch import nn

    return nn.Linear(8, 4)
