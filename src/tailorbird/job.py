"""A recipe that was opened: what commands work on. Loads torch only once the input is right."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tailorbird.pipeline import Run


@contextmanager
def hold(path: Path) -> Iterator["Run"]:
    """The run of a recipe while nobody else works in its folder; Ctrl-C ends it quietly."""
    with open_run(path).held() as job:
        try:
            yield job
        except KeyboardInterrupt:
            typer.echo("tailorbird: stopped. What was done is kept; run again to go on.", err=True)
            raise typer.Exit(1) from None


def open_run(path: Path) -> "Run":
    """The run of a recipe.

    Raises:
        RecipeError: if anything in the recipe is wrong.
    """
    from tailorbird import recipe as recipes
    from tailorbird import spaces
    from tailorbird.latency_tables import device as devices
    from tailorbird.latency_tables import shipped
    from tailorbird.progress import TerminalProgress

    recipe, text = recipes.load(path)
    space = spaces.get(recipe.space.name, batch=recipe.device.batch, **recipe.space.settings)
    elsewhere = None
    if recipe.device.name == "local":
        device = devices.find("local", recipe.device.threads)
    else:
        asked = {
            "threads": recipe.device.threads,
            "batch": recipe.device.batch,
            "runtime": recipe.latency.runtime,
            "schedule": recipe.latency.schedule,
        }
        elsewhere = shipped.find(recipe.device.name, recipe.space.name, asked)
        cpu = elsewhere.configuration.cpu
        device = devices.Device(recipe.device.name, cpu, frozenset(), recipe.device.threads)

    from tailorbird.measurement import Measurement
    from tailorbird.pipeline import Run  # torch and more: not before the input is known to be right

    folder = Path("runs") / recipe.name
    measurement = Measurement(recipe, space, device, folder, elsewhere)
    return Run(recipe, text, space, measurement, folder, TerminalProgress())
