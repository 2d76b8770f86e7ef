"""The kinds of latency source, each a module of this package with a function `opened`."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from tailorbird.errors import RecipeError
from tailorbird.pipeline.database import RunDatabase
from tailorbird.pipeline.latency_sources.source import LatencySource
from tailorbird.recipe import Recipe
from tailorbird.spaces import SearchSpace

KINDS = ("imported", "tabulated", "adapted", "measured")
"""Names of the modules, in the order in which they are asked; the last takes every recipe."""


def opened(
    recipe: Recipe,
    home: Path,
    space: SearchSpace,
    database: RunDatabase,
    warn: Callable[[str], object],
) -> LatencySource:
    """Opens the latency source of a recipe: of the first kind that takes it.

    Args:
        recipe: with [device] and [latency].
        home: folder of the recipe, in which users' modules are looked for.
        space: that it names.
        database: of its run.
        warn: told what a user must know before anything is measured.

    Raises:
        RecipeError: if there is no such device or table.
    """
    for kind in KINDS:
        source: LatencySource | None = import_module(f"{__package__}.{kind}").opened(
            recipe, home, space, database, warn
        )
        if source is not None:
            return source
    raise RecipeError(f"None of the latency sources {KINDS} takes this recipe. Name a [device].")
