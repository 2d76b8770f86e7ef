"""Opens a recipe as a run. Loads torch only once the input is right."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird import recipe as recipes
from tailorbird import spaces
from tailorbird.errors import RecipeError, naming, told_of
from tailorbird.pipeline.database import RunDatabase
from tailorbird.pipeline.latency_sources import registry as latency_sources
from tailorbird.pipeline.latency_sources import tabulated
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.pipeline.python_path import resolve, users_code
from tailorbird.progress import NoProgress, Progress
from tailorbird.spaces.contract import check_space

if TYPE_CHECKING:
    from tailorbird.pipeline.run import Run
    from tailorbird.recipe import Recipe
    from tailorbird.spaces import SearchSpace

_LOG = logging.getLogger("tailorbird")


def open_run(
    path: Path,
    progress: Progress | None = None,
    warn: Callable[[str], object] = _LOG.warning,
) -> "Run":
    """Opens the run of a recipe.

    Args:
        path: of the recipe.
        progress: where its long work reports to; nowhere if None.
        warn: told what a user must know before anything is done.

    Raises:
        RecipeError: if anything in the recipe is wrong.
        EncodingError: if earlier evaluations that it names do not fit its space.
    """
    with told_of(path):
        return _opened(path, progress, lambda sentence: warn(naming(sentence, path)))


def _opened(path: Path, progress: Progress | None, warn: Callable[[str], object]) -> "Run":
    recipe, text = recipes.load(path)
    space = _space(recipe, path.parent)
    database = RunDatabase(recipe.latency.store, Path("runs") / recipe.name)
    asked = OpenedRecipe(recipe, path.parent, space, database, warn)
    latency = latency_sources.opened(asked)
    others = tuple(tabulated.elsewhere(name, asked) for name in recipe.search.devices)
    named = [recipe.device.name, *(other.device.name for other in others)]
    if len(set(named)) < len(named):
        raise RecipeError(
            f"[search] devices must differ from each other and from [device] name, but got {named}."
        )

    # These load predictors and more: not before the rest of the input is known to be right.
    from tailorbird.pipeline.accuracy_sources import registry as accuracy_sources

    accuracy = accuracy_sources.opened(asked)

    from tailorbird.pipeline.own_code.algorithm import algorithm_of
    from tailorbird.pipeline.run import Run

    return Run(
        recipe,
        text,
        space,
        latency,
        others,
        accuracy,
        algorithm_of(recipe.search, path.parent),
        database.folder,
        progress or NoProgress(),
        path=path,
    )


def _space(recipe: "Recipe", home: Path) -> "SearchSpace":
    """The space that a recipe names, or that a user's own function makes.

    Raises:
        RecipeError: if there is none, or it does not fit the recipe.
    """
    settings = {"batch": recipe.device.batch, **recipe.space.settings}
    if recipe.space.module is not None:
        space = _own_space(recipe.space.module, home, settings)
    else:
        space = spaces.get(recipe.space.name or "", **settings)
    n_images = space.input_shape[0]
    if n_images != recipe.device.batch:
        raise RecipeError(
            f"Networks must take the images of [device] batch = {recipe.device.batch} at once, but "
            f"those of {space.name} take {n_images}. Write [device] batch = {n_images}, or "
            "let the space follow it."
        )
    return space


def _own_space(module: str, home: Path, settings: dict[str, object]) -> "SearchSpace":
    """The space that a user's own function makes from batch and settings."""
    make = resolve(module, home, "[space] module")
    named = f"[space] module = {module!r}"
    with users_code(named, f"refused {settings}"):
        made = make(**settings)
    with users_code(named):
        return check_space(made)
