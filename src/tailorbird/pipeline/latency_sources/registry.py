"""The kinds of latency source, each a module of this package with a function `opened`."""

from importlib import import_module

from tailorbird.errors import RecipeError
from tailorbird.latency_tables.tables.configuration import IMPORTED
from tailorbird.pipeline.latency_sources.source import LatencySource
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.registry.latency_predictors import LATENCY_PREDICTORS

KINDS = ("imported", "tabulated", "adapted", "measured")
"""Names of the modules, in the order in which they are asked; the last takes every recipe."""


def opened(asked: OpenedRecipe) -> LatencySource:
    """Opens the latency source of a recipe: of the first kind that takes it.

    Raises:
        RecipeError: if there is no such device or table, or what is asked for adds up workloads
            that the space does not name.
    """
    _refuse_unknown_workloads(asked)
    for kind in KINDS:
        source: LatencySource | None = import_module(f"{__package__}.{kind}").opened(asked)
        if source is not None:
            return source
    raise RecipeError(f"None of the latency sources {KINDS} takes this recipe. Name a [device].")


def _refuse_unknown_workloads(asked: OpenedRecipe) -> None:
    latency, space = asked.recipe.latency, asked.space
    if space.workloads:
        return
    adding = {
        "[latency] adapt_from": bool(latency.adapt_from),
        '[latency] runtime = "imported"': latency.runtime == IMPORTED,
        f"[latency] schedule = {latency.schedule!r}": latency.n_trials is not None,
        f"[latency] predictor = {latency.predictor!r}": (
            latency.predictor in LATENCY_PREDICTORS and latency.entry.needs_workloads
        ),
        "[search] devices": bool(asked.recipe.search.devices),
    }
    for key, adds_up in adding.items():
        if adds_up:
            raise RecipeError(
                f"{key} is for spaces that know their workloads, but {space.name} names none. "
                'In its place write [latency] predictor = "inferred-sum", which learns from '
                "networks that are timed whole, or name workloads in the space."
            )
