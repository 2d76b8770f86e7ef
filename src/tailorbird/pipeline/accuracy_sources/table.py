"""Accuracies in a table of the user's own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.errors import EncodingError, RecipeError
from tailorbird.pipeline.accuracy_sources.source import UNTRAINED
from tailorbird.pipeline.accuracy_sources.tabulated import AccuracyRows, TabulatedAccuracy
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.pipeline.own_code.accuracy_predictor import accuracy_predictor_of
from tailorbird.pipeline.run_folder import LOG
from tailorbird.spaces import IntArray

if TYPE_CHECKING:
    from torch import nn


def opened(asked: OpenedRecipe) -> "TableAccuracy | None":
    """The source of a recipe that names a table of accuracies; None of another one.

    Raises:
        RecipeError: if the table cannot be read, or does not fit the space.
    """
    recipe = asked.recipe
    if recipe.accuracy.table is None:
        return None
    make = accuracy_predictor_of(recipe.accuracy.predictor, asked.home)
    source = TableAccuracy(
        asked.space,
        recipe.accuracy,
        recipe.seed,
        make,
        recipe.search.entry.is_single,
        file=asked.home / recipe.accuracy.table,
    )
    _ = source.table  # whatever command goes on from here, before it measures
    return source


@dataclass(frozen=True, kw_only=True)
class TableAccuracy(TabulatedAccuracy):
    """Accuracies in a CSV or Parquet file, by encoding or by text.

    Attributes:
        file: its path.
    """

    file: Path

    def description(self) -> str:
        """Sentence for reports."""
        return f"Accuracy as {self.file.name} has it; the search saw the same figures"

    @property
    def named(self) -> str:
        """The file."""
        return repr(str(self.file))

    def fingerprint(self) -> str:
        """`tabulated`, in the place of weights."""
        return "tabulated"

    def read(self) -> AccuracyRows:
        """Reads the file.

        Raises:
            RecipeError: if it cannot be read, or does not fit the space.
        """
        from tailorbird.search.evaluation.prior_evaluations import read_table

        try:
            X, y = read_table(self.file, self.space)
        except EncodingError as error:
            raise RecipeError(f"[accuracy] table: {error}") from error
        return AccuracyRows(X, y, self.asked.n_images)

    def trained_networks(self) -> "Callable[[IntArray], nn.Module]":
        """Networks as the space builds them; a warning says that nothing was trained."""
        LOG.warning(UNTRAINED)
        return self.network
