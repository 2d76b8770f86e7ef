"""Recipes: what users ask for, as TOML files."""

from tailorbird.recipe.accuracy import AccuracySection
from tailorbird.recipe.device import DeviceSection
from tailorbird.recipe.latency import LatencySection
from tailorbird.recipe.loading import load
from tailorbird.recipe.recipe import Recipe
from tailorbird.recipe.search import Property, SearchSection

__all__ = [
    "AccuracySection",
    "DeviceSection",
    "LatencySection",
    "Property",
    "Recipe",
    "SearchSection",
    "load",
]
