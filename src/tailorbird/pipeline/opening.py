"""Opens a recipe as a run. Loads torch only once the input is right."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.progress import NoProgress, Progress

if TYPE_CHECKING:
    from tailorbird.latency_tables import Device
    from tailorbird.latency_tables.devices.rpc_address import Server
    from tailorbird.pipeline.accuracy_sources.published import PublishedAccuracy
    from tailorbird.pipeline.accuracy_sources.trained import TrainedAccuracy
    from tailorbird.pipeline.latency_sources.measured import Measurement
    from tailorbird.pipeline.run import Run
    from tailorbird.recipe import DeviceSection, Recipe
    from tailorbird.spaces import SearchSpace


_LOG = logging.getLogger("tailorbird")


def open_run(
    path: Path,
    progress: Progress | None = None,
    warn: Callable[[str], object] = _LOG.warning,
) -> "Run":
    """The run of a recipe.

    Args:
        path: of the recipe.
        progress: where its long work reports to; nowhere if None.
        warn: told what a user must know before anything is done.

    Raises:
        RecipeError: if anything in the recipe is wrong.
        EncodingError: if earlier evaluations that it names do not fit its space.
    """
    from tailorbird import recipe as recipes
    from tailorbird import spaces
    from tailorbird.errors import RecipeError
    from tailorbird.latency_tables import shipped
    from tailorbird.latency_tables.devices import device as devices
    from tailorbird.latency_tables.formats import files
    from tailorbird.latency_tables.tables.configuration import IMPORTED

    recipe, text = recipes.load(path)
    home = path.parent
    settings = {"batch": recipe.device.batch, **recipe.space.settings}
    if recipe.space.module is not None:
        space = _own_space(recipe.space.module, home, settings)
    else:
        assert recipe.space.name is not None  # a recipe has one of both
        space = spaces.get(recipe.space.name, **settings)
    n_images = space.input_shape[0]
    if n_images != recipe.device.batch:
        raise RecipeError(
            f"Networks must take the images of [device] batch = {recipe.device.batch} at once, but "
            f"those of {space.name} take {n_images}. Write [device] batch = {n_images}, or "
            "let the space follow it."
        )
    asked = {
        "threads": recipe.device.threads,
        "batch": recipe.device.batch,
        "runtime": recipe.latency.runtime,
        "schedule": recipe.latency.schedule,
    }
    table_of = partial(shipped.find, space=recipe.space.name or space.name, asked=asked)
    elsewhere = None
    is_file = files.is_file(Path(recipe.device.name))
    server = recipe.device.server
    if server is not None:
        device = _remote(recipe.device, server, Path("runs") / recipe.name, warn)
    elif recipe.latency.runtime == IMPORTED and not is_file:
        device = devices.others(recipe.device.name, recipe.device.threads)
    elif recipe.device.name == "local":
        device = devices.find("local", recipe.device.threads, recipe.device.target)
    else:
        elsewhere = table_of(recipe.device.name)
        cpu = elsewhere.configuration.cpu
        device = devices.Device(recipe.device.name, cpu, devices.NOWHERE, recipe.device.threads)

    known = tuple(
        shipped.known(name, recipe.space.name or space.name, recipe.latency.runtime)
        for name in recipe.latency.adapt_from
    )
    if known and elsewhere is not None:
        raise RecipeError(
            "[latency] adapt_from is for a device that is measured, but that of "
            f"{recipe.device.name!r} is a whole table: drop it."
        )
    if elsewhere is not None and recipe.device.target is not None:
        raise RecipeError(
            f"[device] target is for a device that is measured, but that of {recipe.device.name!r} "
            "is a table: drop it."
        )
    others = tuple(map(table_of, recipe.search.devices))
    named = [recipe.device.name, *(record.device for record in others)]
    if len(set(named)) < len(named):
        raise RecipeError(
            f"[search] devices must differ from each other and from [device] name, but got {named}."
        )

    from tailorbird.pipeline.latency_sources.measured import Measurement
    from tailorbird.pipeline.run import Run

    folder = Path("runs") / recipe.name
    measurement = Measurement(recipe, space, device, folder, elsewhere, others, known)
    accuracy = _accuracy(recipe, home, measurement, folder / "weights")
    return Run(recipe, text, space, measurement, accuracy, folder, progress or NoProgress())


def _accuracy(
    recipe: "Recipe", home: Path, measurement: "Measurement", weights: Path
) -> "TrainedAccuracy | PublishedAccuracy":
    """What the recipe asks for; torch is loaded only where networks are trained."""
    space = measurement.space
    if recipe.accuracy.published is not None:
        from tailorbird.pipeline.accuracy_sources.published import PublishedAccuracy

        return PublishedAccuracy(space, recipe.accuracy, recipe.seed)
    from tailorbird.pipeline.accuracy_sources.trained import TrainedAccuracy

    trained = TrainedAccuracy(recipe, home, space, weights, measurement.opened_url)
    _ = trained.earlier  # whatever command goes on from here, before it measures or trains
    return trained


def _remote(
    asked: "DeviceSection", server: "Server", folder: Path, warn: Callable[[str], object]
) -> "Device":
    """The device behind a server, under its name in the recipe, its key or its address."""
    from tailorbird.latency_tables.runtimes.tvm.rpc import device as remote

    if server.risk:
        warn(server.risk)
    name = asked.key or asked.endpoint or ""
    if "name" in asked.model_fields_set:
        name = asked.name
    return remote.find(name, server, asked.threads, asked.target, folder / "device.json")


def _own_space(module: str, home: Path, settings: dict[str, object]) -> "SearchSpace":
    """The space that a user's own function makes from batch and settings."""
    from tailorbird.recipe.python_path import resolve, users_code
    from tailorbird.spaces.contract import check_space

    make = resolve(module, home, "[space] module")
    named = f"[space] module = {module!r}"
    with users_code(named, f"refused {settings}"):
        made = make(**settings)
    with users_code(named):
        return check_space(made)
