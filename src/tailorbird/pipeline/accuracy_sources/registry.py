"""The kinds of accuracy source, each a module of this package with a function `opened`."""

from importlib import import_module

from tailorbird.errors import RecipeError, naming_extras
from tailorbird.pipeline.accuracy_sources.source import AccuracySource
from tailorbird.pipeline.opened_recipe import OpenedRecipe

KINDS = ("nothing_to_choose", "published", "table", "function", "trained")
"""Names of the modules, in the order in which they are asked; the last takes every recipe."""


def opened(asked: OpenedRecipe) -> AccuracySource:
    """Opens the accuracy source of a recipe: of the first kind that takes it.

    Modules are loaded as they are asked: torch only where networks are trained.

    Raises:
        RecipeError: if it cannot be had.
        EncodingError: if earlier evaluations that it names do not fit its space.
    """
    for kind in KINDS:
        with naming_extras():
            module = import_module(f"{__package__}.{kind}")
        source: AccuracySource | None = module.opened(asked)
        if source is not None:
            return source
    raise RecipeError(f"None of the accuracy sources {KINDS} takes this recipe.")
