"""The kinds of latency source, each a module of this package with a function `opened`."""

from importlib import import_module

from tailorbird.errors import RecipeError
from tailorbird.pipeline.latency_sources.source import LatencySource
from tailorbird.pipeline.opened_recipe import OpenedRecipe

KINDS = ("imported", "tabulated", "adapted", "measured")
"""Names of the modules, in the order in which they are asked; the last takes every recipe."""


def opened(asked: OpenedRecipe) -> LatencySource:
    """Opens the latency source of a recipe: of the first kind that takes it.

    Raises:
        RecipeError: if there is no such device or table.
    """
    for kind in KINDS:
        source: LatencySource | None = import_module(f"{__package__}.{kind}").opened(asked)
        if source is not None:
            return source
    raise RecipeError(f"None of the latency sources {KINDS} takes this recipe. Name a [device].")
