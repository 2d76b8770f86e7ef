"""Accuracies of networks that others trained, as they published them."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NoReturn

import numpy as np

from tailorbird.errors import RecipeError
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.pipeline.own_code.accuracy_predictor import (
    MakeLearner,
    accuracy_predictor_of,
    try_accuracy_predictor,
)
from tailorbird.predictors import AccuracyInputs, Additive, KnownAccuracy, Predictor
from tailorbird.predictors.accuracy.evaluated_samples import FEWEST
from tailorbird.predictors.metrics import accuracy_std
from tailorbird.progress import Progress
from tailorbird.published.accuracies import PublishedAccuracies, published_accuracies
from tailorbird.published.data_folder import data_folder
from tailorbird.recipe import AccuracySection
from tailorbird.registry.python_paths import is_path
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

if TYPE_CHECKING:
    from torch import nn

_LEARNED = 400  # networks that the predictor of the others learns from


def opened(asked: OpenedRecipe) -> "PublishedAccuracy | None":
    """The source of a recipe that names published accuracies; None of another one."""
    recipe = asked.recipe
    column = recipe.accuracy.published
    if column is None:
        return None
    make = accuracy_predictor_of(recipe.accuracy.predictor, asked.home)
    return PublishedAccuracy(
        asked.space, recipe.accuracy, column, recipe.seed, make, recipe.search.entry.is_single
    )


@dataclass(frozen=True)
class PublishedAccuracy:
    """Accuracies of networks that others trained; there are no weights here.

    Attributes:
        space: that the recipe names.
        asked: how accuracies of other networks are predicted.
        column: of the table of the space, or `snnet` for stitched networks.
        seed: of the draw of networks that are learned from.
        make: the predictor that the recipe names.
        must_add_up: True if the search needs an `Additive` one.
    """

    space: SearchSpace
    asked: AccuracySection
    column: str
    seed: int
    make: MakeLearner
    must_add_up: bool = False

    step: ClassVar = "published"
    runs_networks: ClassVar = False

    def description(self) -> str:
        """Sentence for reports."""
        of = f"column {self.column!r} of the table for {self.space.name}"
        if self._table.is_imagenet:
            of = "top-1 on the 50,000 validation images of ImageNet-1K"
        return (
            f"Accuracy as the authors of the networks published it, {of}; the search saw the same "
            "figures"
        )

    @cached_property
    def _table(self) -> PublishedAccuracies:
        """The published networks.

        Raises:
            RecipeError: if there are none, or too few to learn from.
        """
        table = published_accuracies(self.space, self.column, data_folder())
        self._refuse_too_few(table.y)
        if table.y.max() <= 0.01:
            raise RecipeError(
                f"Accuracies must be published in per cent, but none of {self.column!r} "
                f"for {self.space.name} is above 1, as of fractions. Fetch the table anew."
            )
        return table

    def fingerprint(self) -> str:
        """Stands for weights that are not here."""
        return "published"

    def remarks(self) -> tuple[str, ...]:
        """Empty: what was published is as it is."""
        return ()

    def n_validation(self) -> int:
        """Images behind each accuracy."""
        return self._table.n_images

    def n_test(self) -> int:
        """Images behind an accuracy in reports: the same ones."""
        return self.n_validation()

    def check(self) -> None:
        """Refuses a space for which nothing is published, or too little to learn from."""
        _ = self._table
        if is_path(self.asked.predictor):
            try_accuracy_predictor(self.make, self._inputs, must_add_up=self.must_add_up)

    def _refuse_too_few(self, y: FloatArray) -> None:
        learned = y[self._drawn(len(y))]
        if len(learned) < FEWEST or np.ptp(learned) == 0:
            alike = f", all of {learned[0]:.2%}" if len(learned) >= FEWEST else ""
            raise RecipeError(
                f"Accuracies of other networks are predicted from at least {FEWEST} published ones "
                f"that differ, but {self.column!r} has {len(learned)} for "
                f"{self.space.name}{alike}. Fetch the table anew, or choose another column."
            )

    def _drawn(self, n: int) -> IntArray:
        """Places of those among n published networks that the predictor of others learns from."""
        return np.random.default_rng(self.seed).permutation(n)[:_LEARNED]

    def predictor(self, latency: Predictor, progress: Progress) -> Predictor:
        """Published accuracies; a predictor learned from some of them for networks without one.

        An additive one is learned from all and stands alone, or it would not add up.
        """
        table = self._table
        learner = self.make(self._inputs)
        if isinstance(learner, Additive):
            return learner.fit(table.X, table.y)
        drawn = self._drawn(len(table.y))
        others = learner.fit(table.X[drawn], table.y[drawn])
        return KnownAccuracy(table.X, table.y, accuracy_std(table.y, table.n_images), others)

    @property
    def _inputs(self) -> AccuracyInputs:
        return AccuracyInputs(self.space, self._table.n_images, self.asked.predictor_seconds)

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        """Accuracies as published; NaN for networks that nobody evaluated."""
        table = self._table
        known = dict(zip(map(tuple, table.X.tolist()), table.y, strict=True))
        return np.array([known.get(tuple(row), np.nan) for row in X.tolist()])

    def test(self, X: IntArray, progress: Progress) -> FloatArray:
        """Published accuracies again: there are no others."""
        return self.validation(X, progress)

    def network(self, row: IntArray) -> "nn.Module":
        """Network with fresh weights: latency does not depend on them."""
        return self.space.build(row)

    def obtain(self, progress: Progress) -> None:
        """Reads the published table; there is nothing to train."""
        self.check()

    def train(self, progress: Progress) -> NoReturn:
        """Refuses: nothing is trained."""
        raise RecipeError(
            "The accuracies of this recipe are published: nothing is trained. "
            "Go on with `tailorbird run RECIPE`."
        )

    def evaluations(self) -> NoReturn:
        """Refuses: all that is known is published."""
        raise RecipeError(
            "Published accuracies cannot be evaluated anew, as a guided search does. Write "
            '[search] algorithm = "exact" or "nsga2".'
        )

    def trained_networks(self) -> NoReturn:
        """Refuses: there are no weights."""
        raise RecipeError(
            "The accuracies of this recipe are published, so there are no weights to export. "
            "Name data to train on in [accuracy]."
        )
