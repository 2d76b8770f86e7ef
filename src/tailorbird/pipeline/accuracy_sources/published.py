"""Accuracies of networks that others trained, as they published them."""

from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from tailorbird.errors import RecipeError
from tailorbird.pipeline.accuracy_sources.tabulated import AccuracyRows, TabulatedAccuracy
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.pipeline.own_code.accuracy_predictor import accuracy_predictor_of
from tailorbird.published.accuracies import PublishedAccuracies, published_accuracies
from tailorbird.published.data_folder import data_folder


def opened(asked: OpenedRecipe) -> "PublishedAccuracy | None":
    """The source of a recipe that names published accuracies; None of another one."""
    recipe = asked.recipe
    column = recipe.accuracy.published
    if column is None:
        return None
    make = accuracy_predictor_of(recipe.accuracy.predictor, asked.home)
    must_add_up = recipe.search.entry.is_single
    return PublishedAccuracy(
        asked.space, recipe.accuracy, recipe.seed, make, must_add_up, column=column
    )


@dataclass(frozen=True, kw_only=True)
class PublishedAccuracy(TabulatedAccuracy):
    """Accuracies of networks that others trained and published.

    Attributes:
        column: of the table of the space, or `snnet` for stitched networks.
    """

    column: str

    def description(self) -> str:
        """Sentence for reports."""
        of = f"column {self.column!r} of the table for {self.space.name}"
        if self._published.is_imagenet:
            of = "top-1 on the 50,000 validation images of ImageNet-1K"
        return (
            f"Accuracy as the authors of the networks published it, {of}; the search saw the same "
            "figures"
        )

    @property
    def named(self) -> str:
        """The column."""
        return repr(self.column)

    def fingerprint(self) -> str:
        """`published`, in the place of weights."""
        return "published"

    def read(self) -> AccuracyRows:
        """Reads the published table.

        Raises:
            RecipeError: if there is none, or it is in fractions.
        """
        table = self._published
        if table.y.max() <= 0.01:
            raise RecipeError(
                f"Accuracies must be published in per cent, but none of {self.column!r} "
                f"for {self.space.name} is above 1, as of fractions. Fetch the table anew."
            )
        return AccuracyRows(table.X, table.y, table.n_images)

    @cached_property
    def _published(self) -> PublishedAccuracies:
        return published_accuracies(self.space, self.column, data_folder())

    def trained_networks(self) -> NoReturn:
        """Refuses: there are no weights."""
        raise RecipeError(
            "The accuracies of this recipe are published, so there are no weights to export. "
            "Name data to train on in [accuracy]."
        )
