"""Accuracies of networks that are trained here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import nn

from tailorbird.errors import MissingStepError, RecipeError
from tailorbird.predictors import AccuracyProcess, FloatArray, Predictor
from tailorbird.progress import Progress
from tailorbird.python_path import resolve
from tailorbird.recipe import Recipe
from tailorbird.search.design import spread_over
from tailorbird.search.study import Study
from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import (
    Dataset,
    Trained,
    Training,
    cifar,
    digits,
    load,
    train,
)
from tailorbird.training.data_folder import data_folder
from tailorbird.training.stitch import check
from tailorbird.training.trained import Score, accuracy


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
        if not isinstance(self.space, StitchSpace):
            raise RecipeError(f"There is no training for {self.space.name} yet.")
        check(self.space, self.dataset)
        _ = self._score, self._make_teacher
        family, asked = self.space.family, self.recipe.accuracy
        for name, file in self._files.items():
            if name not in family.anchors:
                known = ", ".join(family.anchors)
                raise RecipeError(f"There is no anchor {name!r} in {family.name}; known: {known}.")
            if not hasattr(family, "place"):
                raise RecipeError(
                    f"{family.name} cannot take weights from files: give it a method `place`, "
                    f"which says where those of {str(file)!r} go."
                )
        self.settings.together()
        for name in family.anchors:
            self.settings.alone(name)
        if asked.train_epochs == 0 and self._files.keys() != set(family.anchors):
            raise RecipeError(
                "`[accuracy] train_epochs` is 0, so each anchor needs weights in "
                "[accuracy.anchors]."
            )

    def train(self, progress: Progress) -> Trained:
        """Trains, or loads what was trained."""
        self.check()
        assert isinstance(self.space, StitchSpace)
        teacher = self._make_teacher()
        if not isinstance(teacher, nn.Module | None):
            raise RecipeError(
                f"[accuracy] teacher = {self.recipe.accuracy.teacher!r} must give a "
                f"torch.nn.Module, but gave {type(teacher).__name__}."
            )
        return train(
            self.space,
            self.dataset,
            self.settings,
            self.weights,
            progress,
            teacher=teacher,
            score=self._score,
        )

    @cached_property
    def trained(self) -> Trained:
        """What was trained.

        Raises:
            MissingStepError: if it was not.
        """
        self.check()
        assert isinstance(self.space, StitchSpace)
        found = load(self.space, self.dataset, self.settings, self.weights, self._score)
        if found is None:
            raise MissingStepError(
                f"There are no weights for this recipe in {str(self.weights)!r}. "
                "Make them with `tailorbird train RECIPE`."
            )
        return found

    def predictor(self, latency: Predictor, progress: Progress) -> Predictor:
        """A Gaussian process, from networks whose latencies cover their range."""
        rng = np.random.default_rng(self.recipe.seed)
        X = spread_over(latency, self.space, self.recipe.accuracy.evaluations, rng)
        y = self.validation(X, progress)
        return AccuracyProcess(self.space, self.n_validation).fit(X, y)

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
        return (
            f"Accuracy on {self.n_test:,} test images of {self.dataset.name}, which the search "
            "never saw"
        )

    @cached_property
    def dataset(self) -> Dataset:
        """That the recipe names.

        Raises:
            RecipeError: if it cannot be had, or is none.
        """
        asked = self.recipe.accuracy
        if asked.module is not None:
            make = resolve(asked.module, self.home, "[accuracy] module")
            try:
                made = make()
            except ValueError as error:  # such as a label that is no class
                raise RecipeError(f"[accuracy] module = {asked.module!r}: {error}") from error
            if not isinstance(made, Dataset):
                raise RecipeError(
                    f"[accuracy] module = {asked.module!r} must give a "
                    f"tailorbird.training.Dataset, but gave {type(made).__name__}."
                )
            return made
        if asked.data == "cifar10-jpeg":
            return cifar.load(data_folder())
        return digits.load()

    @property
    def settings(self) -> Training:
        """Of training."""
        asked = self.recipe.accuracy
        epochs = 0 if asked.anchors else 30
        return Training(
            epochs if asked.train_epochs is None else asked.train_epochs,
            asked.stitch_epochs,
            self.recipe.seed,
            batch=asked.batch,
            learning_rates=asked.learning_rates.model_dump(),
            routes=asked.routes,
            distillation=asked.distillation,
            teacher=asked.teacher,
            stitch_images=asked.stitch_images,
            stitch_rank=asked.stitch_rank,
            anchors=self._files,
        )

    @property
    def _files(self) -> dict[str, Path]:
        """Weights of anchors, by their names: the recipe's, or those of installed packages."""
        asked = self.recipe.accuracy.anchors
        if asked != "installed":
            return {name: Path(file) for name, file in asked.items()}
        installed = getattr(getattr(self.space, "family", None), "installed_weights", None)
        if installed is None:
            raise RecipeError(
                f"No package brings weights for {self.space.name}: give files in "
                "[accuracy.anchors]."
            )
        return dict(installed())

    @property
    def _score(self) -> Score:
        path = self.recipe.accuracy.evaluator
        return accuracy if path is None else resolve(path, self.home, "[accuracy] evaluator")

    @property
    def _make_teacher(self) -> Callable[[], object]:
        path = self.recipe.accuracy.teacher
        return _none if path is None else resolve(path, self.home, "[accuracy] teacher")

    def _remembered(self, split: str, X: IntArray, progress: Progress) -> FloatArray:
        trained, images = self.trained, getattr(self.dataset, split)
        by = self.recipe.accuracy.evaluator or "accuracy"
        name = f"{self.dataset.fingerprint}/{split}/{by}/{self.space.name}@{trained.fingerprint}"
        study = Study(self.url(), name)
        return study.evaluate(X, lambda rows: trained.evaluate(rows, images), progress)


def _none() -> None:
    """No teacher of one's own."""
