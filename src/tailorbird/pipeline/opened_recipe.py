"""A recipe beside what its sources of latency and accuracy are opened with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tailorbird.pipeline.database import RunDatabase
from tailorbird.recipe import Recipe
from tailorbird.spaces import SearchSpace


@dataclass(frozen=True, slots=True)
class OpenedRecipe:
    """A recipe whose space is made.

    Attributes:
        recipe: as it was read.
        home: its folder, in which users' modules and files are looked for.
        space: that it names.
        database: of its run.
        warn: told what a user must know before anything is measured.
    """

    recipe: Recipe
    home: Path
    space: SearchSpace
    database: RunDatabase
    warn: Callable[[str], object]
