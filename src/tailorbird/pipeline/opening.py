"""Opens a recipe as a run. Loads torch only once the input is right."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tailorbird import recipe as recipes
from tailorbird import spaces
from tailorbird.errors import RecipeError, naming, naming_extras, told_of
from tailorbird.pipeline.database import RunDatabase
from tailorbird.pipeline.latency_sources import registry as latency_sources
from tailorbird.pipeline.latency_sources import tabulated
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.pipeline.python_path import resolve, users_code
from tailorbird.progress import Progress, on_stderr
from tailorbird.spaces.contract import check_space

if TYPE_CHECKING:
    from tailorbird.pipeline.run import Run
    from tailorbird.recipe import Recipe
    from tailorbird.recipe.space import SpaceSection
    from tailorbird.spaces import SearchSpace

Unchosen = Literal["refuse", "choose", "suppose"]

_LOG = logging.getLogger("tailorbird")


def open_recipe(
    source: "Path | str | Mapping[str, object]",
    progress: Progress | None = None,
    warn: Callable[[str], object] = _LOG.warning,
    *,
    unchosen: Unchosen = "refuse",
) -> "Run":
    """Opens the run of a recipe, whose methods do what the commands of the same names do.

    Args:
        source: path of a TOML file; or its tables, which name modules and files from the current
            folder.
        progress: where long work reports to; standard error if None.
        warn: told what a user must know before anything is done.
        unchosen: what to do about stitches that a recipe lets its anchors choose, and that are not
            chosen yet: refuse them, train the anchors and let them choose, or suppose any others.

    Raises:
        RecipeError: if anything in the recipe is wrong.
        MissingStepError: if stitches are not chosen yet, and are to be refused.
        EncodingError: if earlier evaluations that it names do not fit its space.
        MissingPackageError: if it needs a package of an extra that is not installed.
    """
    given = Path(source) if isinstance(source, str | Path) else source
    path = given if isinstance(given, Path) else None
    with told_of(path), naming_extras():
        recipe, text = recipes.load(given)
        home = Path() if path is None else path.parent
        shown = progress or on_stderr()
        space = space_of(recipe, home)

        def opened(space: "SearchSpace", tell: Callable[[str], object] = warn) -> "Run":
            def named(said: str) -> None:
                tell(naming(said, path))

            return _opened(recipe, text, home, path, shown, named, space)

        if recipe.space.choose is None:
            return opened(space)

        from tailorbird.pipeline.chosen_places import chosen_space, like_chosen  # loads torch

        if unchosen == "suppose":
            return opened(like_chosen(recipe, home, space))
        tried = partial(opened, tell=lambda said: None) if unchosen == "choose" else None
        folder = Path("runs") / recipe.name
        return opened(chosen_space(recipe, home, space, folder, tried))


def _opened(
    recipe: "Recipe",
    text: str,
    home: Path,
    path: Path | None,
    progress: Progress,
    warn: Callable[[str], object],
    space: "SearchSpace",
) -> "Run":
    database = RunDatabase(recipe.latency.store, Path("runs") / recipe.name)
    asked = OpenedRecipe(recipe, home, space, database, warn)
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
        algorithm_of(recipe.search, home),
        database.folder,
        progress,
        path=path,
    )


def space_of(recipe: "Recipe", home: Path) -> "SearchSpace":
    """The space that a recipe names, or the union of several.

    Raises:
        RecipeError: if there is none, it does not fit the recipe, or they do not fit each other.
    """
    made = [_member(table, recipe, home) for table in recipe.space.tables]
    if len(made) == 1:
        return made[0]
    with users_code(recipe.space.key):
        return spaces.union_of(made)


def _member(asked: "SpaceSection", recipe: "Recipe", home: Path) -> "SearchSpace":
    """The space of one table.

    Raises:
        RecipeError: if there is none, or it does not fit the recipe.
    """
    settings = {"batch": recipe.device.batch, **asked.settings}
    if asked.programs is not None:
        return _programs(asked, home)
    if asked.module is not None:
        space = _own_space(asked, home, settings)
    else:
        space = spaces.get(asked.name or "", **settings)
    n_images = space.input_shape[0]
    if n_images != recipe.device.batch:
        raise RecipeError(
            f"Networks must take the images of [device] batch = {recipe.device.batch} at once, but "
            f"those of {space.name} take {n_images}. Write [device] batch = {n_images}, or "
            "let the space follow it."
        )
    return space


def _own_space(asked: "SpaceSection", home: Path, settings: dict[str, object]) -> "SearchSpace":
    """The space that a user's own function makes from batch and settings."""
    make = resolve(asked.module or "", home, "[space] module")
    with users_code(asked.key, f"refused {settings}"):
        made = make(**settings)
    with users_code(asked.key):
        return check_space(made)


def _programs(asked: "SpaceSection", home: Path) -> "SearchSpace":
    """The modules that a user's own function gives, to be timed."""
    from tailorbird.spaces.programs import Programs

    path = asked.programs or ""
    give = resolve(path, home, "[space] programs")
    with users_code(asked.key):
        programs = Programs(path, give(**asked.settings))
        _ = programs.workloads  # refuses what cannot be exported
        return programs
