"""Inputs of every training: data, score and teacher that a recipe names."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol

from torch import nn

from tailorbird.errors import ContractError, RecipeError
from tailorbird.pipeline.accuracy_sources.named_data import dataset_of, named_data
from tailorbird.pipeline.accuracy_sources.training_passes import Passes
from tailorbird.pipeline.python_path import resolve, users_code
from tailorbird.progress import Progress
from tailorbird.recipe import AccuracySection, Recipe
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.spaces.trial import check_torch
from tailorbird.training import Dataset, Trained
from tailorbird.training.compute import Compute
from tailorbird.training.finetuning.settings import Finetuning
from tailorbird.training.optimization import Optimization
from tailorbird.training.ranks import Ranks
from tailorbird.training.score import Score, accuracy
from tailorbird.training.shares import FEWEST
from tailorbird.training.trial import (
    Batch,
    as_teacher,
    check_images,
    check_score,
    check_teacher,
    mixed,
    tried_batch,
)


class Lender(Protocol):
    """What has the data set and the teacher of a recipe."""

    def dataset(self) -> Dataset:
        """The data set."""

    def teacher(self) -> nn.Module | None:
        """The teacher, if there is one."""


class HasPublished(Protocol):
    """What weights of a space may start with files that others have published."""

    @property
    def space(self) -> SharedSpace:
        """The space."""

    def published(self) -> Mapping[str, Preprocessing]:
        """Preprocessing that weights in files were trained with, by what they are weights of."""


@dataclass(frozen=True)
class TrainingInputs(ABC):
    """Base of what the weights of one recipe are trained from, each thing made on first use.

    Attributes:
        recipe: what was asked for.
        home: folder of the recipe; the user's modules and weights are looked for from there.
        space: that the recipe names.
        lender: other inputs of the same recipe, whose data set and teacher these have as well; None
            to have them made.
        whole: all keys of [accuracy], of which `recipe` in a union has those that the space is
            trained by; None if it has all.
        beside: inputs of other spaces, to whom these lend their data set.
    """

    idle: ClassVar[frozenset[str]]
    """Keys of [accuracy] that are for other trainings."""

    training: ClassVar[str]
    """What it does, for errors: `supernets are trained`."""

    recipe: Recipe
    home: Path
    space: SharedSpace
    lender: "Lender | None" = None
    whole: AccuracySection | None = None
    beside: "list[HasPublished]" = field(default_factory=list)

    @abstractmethod
    def train(self, folder: Path, progress: Progress) -> Trained:
        """Trains into a folder, or loads what was trained there."""

    @abstractmethod
    def load(self, folder: Path) -> Trained | None:
        """Loads what `train` made; None if there is no such thing."""

    def anchors_alone(self, folder: Path) -> Trained | None:
        """Loads anchors before they were stitched; None if nothing is, or they are not there."""
        return None

    @abstractmethod
    def is_trained(self, folder: Path) -> bool:
        """True if `load` will find weights, whole or not; builds no network."""

    @abstractmethod
    def remarks(self) -> tuple[str, ...]:
        """Sentences on what became of files of weights."""

    def origin(self) -> str:
        """Ending of the sentence on accuracies in reports: where the weights are from."""
        return ""

    @abstractmethod
    def n_epochs(self) -> int | None:
        """Passes of one network over the training images behind the weights; None if not known."""

    def alone(self, row: IntArray) -> Finetuning | None:
        """Settings of training one network from scratch, for all passes that its weights had.

        Args:
            row: its canonical row, (d,).

        Returns:
            None if nobody knows how many these were.
        """
        n_epochs, settings = self.n_epochs(), self.finetuning(row)
        if n_epochs is None:
            return None
        rates = self.recipe.accuracy.learning_rates.model_dump()
        return replace(settings, epochs=n_epochs + settings.epochs, learning_rates=rates)

    def finetuning(self, row: IntArray) -> Finetuning:
        """Settings of training one network on.

        Args:
            row: its canonical row, (d,).
        """
        asked = self.recipe.accuracy
        rates = asked.learning_rates.model_dump()
        # Training may have nobody to learn from; a network that is trained on has the largest.
        distillation = (self.whole or asked).distillation
        return Finetuning(
            asked.finetune_epochs,
            self.recipe.seed,
            {k: asked.finetune_rate * rate for k, rate in rates.items() if k in self.kinds},
            batch=asked.batch,
            distillation=distillation or "soft",
            teacher=asked.teacher,
            measure=asked.evaluator or "accuracy",
            optimization=self.optimization,
            compute=self.compute,
        )

    @property
    def optimization(self) -> Optimization:
        """How a step changes weights."""
        asked = self.recipe.accuracy
        return Optimization(
            asked.optimizer,
            asked.weight_decay,
            asked.decay_norms,
            asked.clip,
            asked.schedule,
            asked.warm_up_epochs,
            asked.label_smoothing,
            asked.accumulation,
            asked.weight_averaging,
            asked.mixup,
            asked.cutmix,
            asked.drop_path,
        )

    @cached_property
    def compute(self) -> Compute:
        """Where and how networks compute.

        Raises:
            RecipeError: if the device is not there, or cannot compute so.
        """
        asked = self.recipe.accuracy
        norms = asked.batch_norms or ("global" if asked.rank_routes == "same" else "local")
        ranks = Ranks.present(norms, asked.rank_routes)
        try:
            return Compute(asked.device, asked.precision, asked.loader_workers, ranks)
        except ContractError as error:
            raise RecipeError(f"[accuracy] {error}") from error

    @abstractmethod
    def passes(self, folder: Path) -> Sequence[Passes]:
        """Passes over the training images, unless all is trained into this folder."""

    @property
    @abstractmethod
    def n_epochs_of(self) -> Mapping[str, int]:
        """Epochs of each stage of training, by the key of [accuracy] that says how many."""

    def check_warm_up(self, n_epochs_of: Mapping[str, int]) -> None:
        """Refuses a warm-up that leaves nothing of a stage of training.

        Args:
            n_epochs_of: epochs of stages, by the key that says how many; 0 is no stage.

        Raises:
            RecipeError: naming the stage.
        """
        warm_up = self.recipe.accuracy.warm_up_epochs
        for key, n_epochs in n_epochs_of.items():
            if warm_up is not None and 0 < n_epochs <= warm_up:
                raise RecipeError(
                    f"[accuracy] warm_up_epochs must be below {key}, in which learning rates are "
                    f"to fall again, but is {warm_up} beside {n_epochs}. Lower it, or raise {key}."
                )

    @cached_property
    def kinds(self) -> frozenset[str]:
        """Kinds of pieces that there are."""
        return frozenset(piece.kind for piece in self.space.pieces)

    @property
    @abstractmethod
    def n_classes(self) -> int:
        """Number of classes that networks tell apart."""

    @abstractmethod
    def check_fit(self) -> None:
        """Refuses data that do not fit the space."""

    @abstractmethod
    def check_start(self) -> None:
        """Refuses weights that training cannot start from."""

    @abstractmethod
    def check_steps(self, batch: Batch) -> None:
        """Runs a few networks as training does."""

    def check(self, weights: Path) -> None:
        """Refuses data, code, weights or settings that do not fit each other.

        Two training images pass through all that training and evaluation use, unless what was
        trained is there already.

        Args:
            weights: folder of what was trained.

        Raises:
            RecipeError: if so.
            WeightsError: if it is weights that training starts from.
        """
        self.check_keys()
        with self.compute.ranks.in_turn(), users_code(self.named_data):
            check_images(self.dataset())
        with users_code(self.named_space):
            self.check_fit()
        asked = self.recipe.accuracy
        with users_code(f"[accuracy] evaluator = {asked.evaluator!r}"):
            check_score(self.score(), self.dataset())
            check_torch()
        self.check_start()
        if self.is_trained(weights):
            return
        with users_code(self.named_data):
            batch = tried_batch(self.dataset(), asked.batch)
            check_torch()
        if asked.cutmix and len(self.dataset().train.shape) != 3:
            raise RecipeError(
                "[accuracy] cutmix takes rectangles of images, but inputs of the data have shape "
                f"{self.dataset().train.shape}: drop it, or take mixup."
            )
        batch = mixed(batch, self.optimization.mixing, self.n_classes)
        teacher = self.teacher()
        if teacher is not None:
            with users_code(f"[accuracy] teacher = {asked.teacher!r}"):
                check_teacher(teacher, batch, self.n_classes)
        self.check_steps(batch)

    def check_keys(self) -> None:
        """Refuses keys of [accuracy] that are for other trainings, and warm-ups without an end.

        Raises:
            RecipeError: naming one.
        """
        idle = self.recipe.accuracy.model_fields_set & self.idle
        if idle:
            raise RecipeError(
                f"[accuracy] {min(idle)} has no part in this recipe, since {self.training} for "
                f"{self.space.name}: drop it."
            )
        asked, ranks = self.recipe.accuracy, self.compute.ranks
        least = FEWEST * ranks.n * asked.accumulation
        if ranks.n > 1 and asked.batch < least:
            raise RecipeError(
                f"[accuracy] batch must give each of {ranks.n} ranks {FEWEST} images at least"
                f"{' in each of accumulation parts' if asked.accumulation > 1 else ''}, which are "
                f"{least}, but is {asked.batch}. Raise it, or start fewer ranks."
            )
        if asked.warm_up_epochs is not None:  # else no file is read to know what is trained
            self.check_warm_up(self.n_epochs_of)
            if "finetune_epochs" in asked.model_fields_set:
                self.check_warm_up({"finetune_epochs": asked.finetune_epochs})

    def check_learning_rates(self, *keys: str) -> None:
        """Refuses learning rates of kinds of pieces that there are not.

        Args:
            keys: of [accuracy] with learning rates.

        Raises:
            RecipeError: naming one.
        """
        for key in keys:
            idle = getattr(self.recipe.accuracy, key).model_fields_set - self.kinds
            if idle:
                raise RecipeError(
                    f"[accuracy.{key}] {min(idle)} has no part in this recipe, since "
                    f"{self.space.name} has no {min(idle)}: drop it."
                )

    def check_something_learns(self) -> None:
        """Refuses learning rates with which weights that networks share would never change.

        Raises:
            RecipeError: naming them.
        """
        asked = self.recipe.accuracy
        if not any(asked.rates_while_shared[kind] for kind in self.kinds):
            of_stage = "shared_" if asked.shared_learning_rates.model_fields_set else ""
            raise RecipeError(
                f"[accuracy.{of_stage}learning_rates] must be above 0 for something, or all "
                "networks stay untrained, but they are 0 for every part of "
                f"{self.space.name}. Raise one."
            )

    @property
    def named_space(self) -> str:
        """Where the recipe names the space."""
        return self.recipe.space.key

    @property
    def named_data(self) -> str:
        """Where the recipe names the data."""
        return named_data(self.recipe)

    def published(self) -> Mapping[str, Preprocessing]:
        """Preprocessing that weights in files were trained with, by what they are weights of."""
        return {}

    def dataset(self) -> Dataset:
        """The data set that the recipe names.

        Raises:
            RecipeError: if it cannot be had, or is none.
        """
        return self._dataset

    @cached_property
    def _dataset(self) -> Dataset:
        if self.lender is not None:
            return self.lender.dataset()
        published = dict(self.published())
        for other in self.beside:
            of = other.space.name
            published |= {f"{name} of {of}": made for name, made in other.published().items()}
        return dataset_of(self.recipe, self.home, self.space.input_shape, published)

    def score(self) -> Score:
        """Score that networks are evaluated by."""
        path = self.recipe.accuracy.evaluator
        return accuracy if path is None else resolve(path, self.home, "[accuracy] evaluator")

    def teacher(self) -> nn.Module | None:
        """Teacher that the recipe names; None if it names none."""
        return self._teacher

    @cached_property
    def _teacher(self) -> nn.Module | None:
        if self.lender is not None:
            return self.lender.teacher()
        path = self.recipe.accuracy.teacher
        if path is None:
            return None
        make = resolve(path, self.home, "[accuracy] teacher")
        with users_code(f"[accuracy] teacher = {path!r}"):
            made = make()
            check_torch()
            return as_teacher(made)
