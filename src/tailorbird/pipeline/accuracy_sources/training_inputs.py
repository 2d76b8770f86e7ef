"""Inputs of training: data, score, teacher and weights that a recipe names."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from tailorbird.errors import RecipeError, WeightsError, WeightsKeyError
from tailorbird.pipeline.python_path import resolve, users_code
from tailorbird.recipe import Recipe
from tailorbird.registry.data_sets import DATA_SETS, DEFAULT
from tailorbird.registry.python_paths import load
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.spaces.trial import check_torch
from tailorbird.training import Dataset, Training, distillation
from tailorbird.training.distillation import Loss
from tailorbird.training.score import Score, accuracy
from tailorbird.training.stitching.anchors import Placement
from tailorbird.training.stitching.network import StitchedNetwork
from tailorbird.training.stitching.network_trial import check_networks
from tailorbird.training.stitching.train import check, check_heads, is_trained, loss_of, placed
from tailorbird.training.trial import (
    as_dataset,
    as_teacher,
    check_images,
    check_score,
    check_teacher,
    tried_batch,
)

_EPOCHS = 30  # of anchors that learn from scratch, or have a new head


@dataclass(frozen=True)
class TrainingInputs:
    """Data, score, teacher and weights of one recipe, each made on first use.

    Attributes:
        recipe: what was asked for.
        home: folder of the recipe; the user's modules and weights are looked for from there.
        space: that the recipe names.
    """

    recipe: Recipe
    home: Path
    space: StitchSpace

    def check(self, weights: Path) -> None:
        """Refuses data, code, weights or settings that do not fit each other.

        Two training images pass through all that training and evaluation use, unless what was
        trained is there already.

        Args:
            weights: folder of what was trained.

        Raises:
            RecipeError: if so.
            WeightsError: if it is the weights of anchors.
        """
        with users_code(self._named_data):
            check_images(self.dataset())
        with users_code(self._named_space):
            check(self.space, self.dataset())
        asked = self.recipe.accuracy
        with users_code(f"[accuracy] evaluator = {asked.evaluator!r}"):
            check_score(self.score(), self.dataset())
            check_torch()
        self._check_anchors()
        if is_trained(self.space, self.dataset(), self.settings(), weights):
            return
        with users_code(self._named_data):
            batch = tried_batch(self.dataset(), self.settings().batch)
            check_torch()
        loss: Loss = distillation.labels_only
        teacher = self.teacher()
        if teacher is not None:
            with users_code(f"[accuracy] teacher = {asked.teacher!r}"):
                check_teacher(teacher, batch, self.space.family.n_classes)
            loss = loss_of(self.settings(), teacher)
        with users_code(self._named_space):
            network, _ = self._placed()
            check_networks(self.space, network, self.settings(), batch, loss)

    def _check_anchors(self) -> None:
        """Refuses anchors that have neither weights to start from, nor epochs to learn them."""
        family, settings = self.space.family, self.settings()
        missing = [name for name in family.anchors if name not in settings.anchors]
        if settings.train_epochs == 0 and missing:
            raise RecipeError(
                f"Anchors need weights in [accuracy.anchors] or `[accuracy] train_epochs` above 0, "
                f"but {missing[0]} has neither."
            )
        check_heads(self._placements, settings)

    @property
    def _named_space(self) -> str:
        return self.recipe.space.key

    @property
    def _named_data(self) -> str:
        asked = self.recipe.accuracy
        key = "data" if asked.module is None else "module"
        return f"[accuracy] {key} = {getattr(asked, key) or DEFAULT!r}"

    def dataset(self) -> Dataset:
        """The data set that the recipe names.

        Raises:
            RecipeError: if it cannot be had, or is none.
        """
        return self._dataset

    @cached_property
    def _dataset(self) -> Dataset:
        path = self.recipe.accuracy.module
        if path is not None:
            make = resolve(path, self.home, "[accuracy] module")
            with users_code(self._named_data):
                made = make()
                check_torch()
                return as_dataset(made)
        dataset: Dataset = load(DATA_SETS[self.recipe.accuracy.data or DEFAULT])()
        return dataset

    def score(self) -> Score:
        """Score that networks are evaluated by."""
        path = self.recipe.accuracy.evaluator
        return accuracy if path is None else resolve(path, self.home, "[accuracy] evaluator")

    def teacher(self) -> nn.Module | None:
        """Teacher that the recipe names; None if it names none."""
        return self._teacher

    @cached_property
    def _teacher(self) -> nn.Module | None:
        path = self.recipe.accuracy.teacher
        if path is None:
            return None
        make = resolve(path, self.home, "[accuracy] teacher")
        with users_code(f"[accuracy] teacher = {path!r}"):
            made = make()
            check_torch()
            return as_teacher(made)

    def settings(self) -> Training:
        """Settings of training."""
        return self._settings

    @cached_property
    def _settings(self) -> Training:
        asked = self.recipe.accuracy
        files, keys = self._weights
        epochs = asked.train_epochs
        if epochs is None:
            new_heads = [name for name, placed in self._placements.items() if placed.new_head]
            are_there = set(self.space.family.anchors) <= {*files}
            epochs = _EPOCHS if not files or (are_there and new_heads) else 0
        return Training(
            epochs,
            asked.stitch_epochs,
            self.recipe.seed,
            batch=asked.batch,
            learning_rates=asked.learning_rates.model_dump(),
            routes=asked.routes,
            distillation=asked.distillation,
            teacher=asked.teacher,
            stitch_images=asked.stitch_images,
            stitch_rank=asked.stitch_rank,
            anchors=files,
            keys=keys,
        )

    def remarks(self) -> tuple[str, ...]:
        """Sentences on what became of the files of weights."""
        n_classes, epochs = self.space.family.n_classes, self.settings().train_epochs
        remarks: list[str] = []
        for name, placement in self._placements.items():
            remarks += placement.remarks
            if placement.new_head:
                remarks.append(
                    f"The head of {name} for {n_classes:,} classes is drawn anew, since "
                    f"{placement.new_head}; the anchor learns, with train_epochs = {epochs}."
                )
        return tuple(remarks)

    @cached_property
    def _placements(self) -> dict[str, Placement]:
        """What becomes of the files of weights, by anchor."""
        return self._placed()[1] if self._weights[0] else {}

    def _placed(self) -> tuple[StitchedNetwork, dict[str, Placement]]:
        """A network that starts from the files of weights, and what becomes of these.

        Raises:
            WeightsError: if they do not fit; an example shows how a recipe chooses by a key.
        """
        try:
            return placed(self.space, self.recipe.seed, *self._weights)
        except WeightsKeyError as error:
            example = f'{{ file = "{error.path.name}", key = "{error.key}" }}'
            raise WeightsError(f"{error} In [accuracy.anchors]: {example}.") from error

    @cached_property
    def _weights(self) -> tuple[dict[str, Path], dict[str, str]]:
        """Files by anchor, the recipe's or those of installed packages; keys in them, if given.

        Raises:
            RecipeError: if there are none for the space, or the family cannot take them.
        """
        asked, family = self.recipe.accuracy.anchors, self.space.family
        if asked == "installed":
            installed = getattr(family, "installed_weights", None)
            if installed is None:
                raise RecipeError(
                    f"No package brings weights for {self.space.name}: give files in "
                    "[accuracy.anchors]."
                )
            return dict(installed()), {}
        for name, file in asked.items():
            if name not in family.anchors:
                known = ", ".join(family.anchors)
                raise RecipeError(f"There is no anchor {name!r} in {family.name}; known: {known}.")
            if not hasattr(family, "place"):
                raise RecipeError(
                    f"{family.name} cannot take weights from files: give it a method `place`, "
                    f"which says where those of {file.file!r} go."
                )
        files = {name: self.home / file.file for name, file in asked.items()}
        return files, {name: file.key for name, file in asked.items() if file.key is not None}
