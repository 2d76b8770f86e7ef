"""Accuracies of networks that are trained here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import nn

from tailorbird.errors import MissingStepError, RecipeError
from tailorbird.materials import Materials
from tailorbird.predictors import FloatArray, Predictor, accuracy_predictor
from tailorbird.predictors.zero_cost import ZeroCostFeatures
from tailorbird.progress import Progress
from tailorbird.recipe import Recipe
from tailorbird.search.design import spread_over
from tailorbird.search.study import Study
from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import Dataset, Trained, load, train
from tailorbird.training.stitch import check

_SCORED = 32  # images that zero-cost scores see


@dataclass(frozen=True)
class TrainedAccuracy:
    """Of networks that are trained here.

    Attributes:
        recipe: what was asked for.
        home: folder of the recipe, in which the user's own modules are looked for.
        space: that the recipe names.
        weights: folder for them.
        url: of the database that remembers evaluations; a call, since opening it may fail.
    """

    recipe: Recipe
    home: Path
    space: SearchSpace
    weights: Path
    url: Callable[[], str]

    def check(self) -> None:
        """Refuses data, weights or settings that do not fit the space."""
        self.materials.check()

    @cached_property
    def materials(self) -> Materials:
        """Of training.

        Raises:
            RecipeError: if the space is none that can be trained.
        """
        if not isinstance(self.space, StitchSpace):
            raise RecipeError(
                f"There is no training for {self.space.name}; its latencies can be had with "
                "`tailorbird profile RECIPE`."
            )
        return Materials(self.recipe, self.home, self.space)

    def train(self, progress: Progress) -> Trained:
        """Trains, or loads what was trained."""
        made = self.materials
        made.check()
        return train(
            made.space,
            made.dataset,
            made.settings,
            self.weights,
            progress,
            teacher=made.teacher,
            score=made.score,
        )

    @cached_property
    def trained(self) -> Trained:
        """What was trained.

        Raises:
            MissingStepError: if it was not.
        """
        made = self.materials
        check(made.space, made.dataset)
        found = load(made.space, made.dataset, made.settings, self.weights, made.score)
        if found is None:
            raise MissingStepError(
                f"There are no weights for this recipe in {str(self.weights)!r}. "
                "Make them with `tailorbird train RECIPE`."
            )
        return found

    def predictor(self, latency: Predictor, progress: Progress) -> Predictor:
        """That the recipe names, from networks whose latencies cover their range."""
        rng = np.random.default_rng(self.recipe.seed)
        X = spread_over(latency, self.space, self.recipe.accuracy.evaluations, rng)
        y = self.validation(X, progress)
        asked = self.recipe.accuracy
        return accuracy_predictor(
            asked.predictor,
            self.space,
            self.n_validation,
            asked.predictor_seconds,
            self._zero_cost(progress),
        ).fit(X, y)

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        """On images that only the search sees."""
        return self._remembered("validation", X, progress)

    def test(self, X: IntArray, progress: Progress) -> FloatArray:
        """On images that only reports see."""
        return self._remembered("test", X, progress)

    def network(self, row: IntArray) -> nn.Module:
        """With its weights."""
        return self.trained.extract(row)

    @property
    def fingerprint(self) -> str:
        """Of the weights."""
        return self.trained.fingerprint

    @property
    def n_validation(self) -> int:
        """Images that only the search sees."""
        return len(self.dataset.validation.labels)

    @property
    def n_test(self) -> int:
        """Images that only reports see."""
        return len(self.dataset.test.labels)

    @property
    def description(self) -> str:
        """For reports."""
        evaluator = self.recipe.accuracy.evaluator
        what = "Accuracy" if evaluator is None else f"Score by {evaluator}"
        return (
            f"{what} on {self.n_test:,} test images of {self.dataset.name}, which the search "
            "never saw"
        )

    @property
    def dataset(self) -> Dataset:
        """That the recipe names."""
        return self.materials.dataset

    def _zero_cost(self, progress: Progress) -> ZeroCostFeatures | None:
        """Scores of untrained networks on one batch of training images, if they are wanted."""
        names = self.recipe.accuracy.zero_cost
        if not names:
            return None
        images, seed = self.dataset.train, self.recipe.seed
        drawn = np.random.default_rng(seed).permutation(len(images.labels))[:_SCORED]
        batch = images.batch(drawn).numpy()
        return ZeroCostFeatures(self.space, batch, images.labels[drawn], names, seed, progress)

    def _remembered(self, split: str, X: IntArray, progress: Progress) -> FloatArray:
        trained, images = self.trained, getattr(self.dataset, split)
        by = self.recipe.accuracy.evaluator or "accuracy"
        name = f"{self.dataset.fingerprint}/{split}/{by}/{self.space.name}@{trained.fingerprint}"
        study = Study(self.url(), name)
        return study.evaluate(X, lambda rows: trained.evaluate(rows, images), progress)
