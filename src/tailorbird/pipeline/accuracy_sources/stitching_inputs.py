"""Inputs of the training of stitched networks: weights that anchors start with, and settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from tailorbird.errors import RecipeError, WeightsError, WeightsKeyError
from tailorbird.pipeline.accuracy_sources.training_inputs import TrainingInputs
from tailorbird.pipeline.accuracy_sources.training_passes import Passes, typical
from tailorbird.pipeline.python_path import users_code
from tailorbird.progress import Progress
from tailorbird.recipe.accuracy import STITCHED_KEYS, SUPERNET_KEYS, TOGETHER_KEYS
from tailorbird.spaces import IntArray
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import SharedNetwork, Trained, Training, load, train
from tailorbird.training.distillation import loss_of
from tailorbird.training.shared.network_trial import check_networks
from tailorbird.training.stitching.anchors import Placement
from tailorbird.training.stitching.block_by_block import check_meetings
from tailorbird.training.stitching.train import (
    check,
    check_heads,
    is_trained,
    load_anchors,
    placed,
)
from tailorbird.training.trial import Batch
from tailorbird.training.weights.preprocessing import preprocessing_of

_EPOCHS = 30  # of anchors that learn from scratch, or have a new head


@dataclass(frozen=True)
class StitchingInputs(TrainingInputs):
    """Inputs of the training of anchors, and of all routes through them together."""

    idle: ClassVar = SUPERNET_KEYS - STITCHED_KEYS
    training: ClassVar = "anchors and stitches are trained"

    space: StitchSpace

    def train(self, folder: Path, progress: Progress) -> Trained:
        """Trains into a folder, or loads what was trained there."""
        return train(
            self.space,
            self.dataset(),
            self.settings(),
            folder,
            progress,
            teacher=self.teacher(),
            score=self.score(),
        )

    def load(self, folder: Path) -> Trained | None:
        """Loads what `train` made; None if there is no such thing."""
        return load(self.space, self.dataset(), self.settings(), folder, self.score())

    def anchors_alone(self, folder: Path) -> Trained | None:
        """Loads anchors before they were stitched; None if they are not there."""
        return load_anchors(self.space, self.dataset(), self.settings(), folder, self.score())

    def is_trained(self, folder: Path) -> bool:
        """True if `load` will find weights, whole or not; builds no network."""
        return is_trained(self.space, self.dataset(), self.settings(), folder)

    def n_epochs(self) -> int | None:
        """Passes of all anchors and of all routes; None if anchors were trained elsewhere."""
        settings = self.settings()
        if settings.anchors:
            return None
        return len(self.space.family.anchors) * settings.train_epochs + settings.stitch_epochs

    def passes(self, folder: Path) -> Sequence[Passes]:
        """Passes of each anchor alone, and of all routes together."""
        settings, space = self.settings(), self.space
        rows, nobody = space.landmarks, space.landmarks[:0]
        alone = [
            Passes(f"anchor {name}", settings.train_epochs, space, rows[i : i + 1], nobody)
            for i, name in enumerate(space.family.anchors)
        ]
        learns = settings.distillation != "none" and self.recipe.accuracy.teacher is None
        teachers = rows[-1:] if learns else nobody
        epochs = settings.stitch_epochs
        return [*alone, Passes("all routes", epochs, space, typical(space), teachers)]

    @property
    def n_epochs_of(self) -> Mapping[str, int]:
        """Epochs of each anchor, and of all routes together."""
        settings = self.settings()
        return {"train_epochs": settings.train_epochs, "stitch_epochs": settings.stitch_epochs}

    @property
    def n_classes(self) -> int:
        """Number of classes that networks tell apart."""
        return self.space.family.n_classes

    def check_keys(self) -> None:
        """Refuses keys of [accuracy] that are for other trainings, and values that do nothing.

        Raises:
            RecipeError: naming one.
        """
        super().check_keys()
        if self.recipe.accuracy.share_of_anchors is not None and not self.space.stitches:
            raise RecipeError(
                f"[accuracy] share_of_anchors has no part in this recipe, since {self.space.name} "
                "has anchors alone: drop it."
            )
        if self.recipe.accuracy.anchors_from != "labels" and not self._learns_from_others:
            raise RecipeError(
                f"[accuracy] anchors_from has no part in this recipe, since every anchor of "
                f"{self.space.name} but the largest has a file of weights, or there is no other: "
                "drop it."
            )
        self.check_learning_rates("shared_learning_rates")
        asked = self.recipe.accuracy
        together = asked.model_fields_set & TOGETHER_KEYS
        if together and not asked.stitch_epochs:
            raise RecipeError(
                f"[accuracy] {min(together)} has no part with stitch_epochs = 0, by which routes "
                "are not trained together: drop it."
            )
        if asked.shared_learning_rates.model_fields_set:
            self.check_something_learns()

    def published(self) -> Mapping[str, Preprocessing]:
        """Preprocessing that the weights of anchors were published with, by anchor."""
        published, of_family = {}, getattr(self.space.family, "preprocessing", None)
        for number, name in enumerate(self.space.family.anchors):
            if name not in self._weights[0]:
                continue
            found = preprocessing_of(self._weights[0][name])
            if found is None and of_family is not None:
                found = of_family(number)
            if found is not None:
                published[name] = found
        return published

    def check_fit(self) -> None:
        """Refuses data that do not fit the space.

        Raises:
            ContractError: if so, or if anchors do not grow.
        """
        check(self.space, self.dataset())
        if self._learns_from_others:
            check_meetings(self.space)

    def check_start(self) -> None:
        """Refuses anchors that have neither weights to start from, nor epochs to learn them.

        Raises:
            RecipeError: if so.
        """
        family, settings = self.space.family, self.settings()
        missing = [name for name in family.anchors if name not in settings.anchors]
        if settings.train_epochs == 0 and missing:
            raise RecipeError(
                f"Anchors need weights in [accuracy.anchors] or `[accuracy] train_epochs` above 0, "
                f"but {missing[0]} has neither."
            )
        check_heads(self._placements, settings)

    def check_steps(self, batch: Batch) -> None:
        """Runs the smallest and the largest network, and one with a stitch, as training does."""
        settings = self.settings()
        rates = dict[str, float]()
        if settings.stitch_epochs:
            rates = self.recipe.accuracy.rates_while_shared
        if settings.train_epochs:
            rates |= {kind: rate for kind, rate in settings.learning_rates.items() if rate}
        with users_code(self.named_space):
            network, _ = self._placed()
            check_networks(
                self.space,
                network,
                self._tried,
                rates,
                batch,
                loss_of(
                    settings.distillation, self.teacher(), settings.optimization.label_smoothing
                ),
                self.n_classes,
            )

    @property
    def _learns_from_others(self) -> bool:
        """True if an anchor learns from another one."""
        *smaller, _ = self.space.family.anchors
        without_file = {*smaller} - {*self._weights[0]}
        return self.recipe.accuracy.anchors_from != "labels" and bool(without_file)

    @property
    def _tried(self) -> IntArray:
        """Canonical rows of networks that have every kind of part."""
        X, crossings = self.space.landmarks[[0, -1]], self.space.crossings
        if not len(crossings):
            return np.asarray(X)
        return np.vstack([X, crossings[count_macs(self.space, crossings).argmin()]])

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
            learns = not files or (are_there and new_heads) or self._learns_from_others
            epochs = _EPOCHS if learns else 0
        return Training(
            epochs,
            asked.stitch_epochs,
            self.recipe.seed,
            batch=asked.batch,
            anchors_from=asked.anchors_from,
            learning_rates=asked.learning_rates.model_dump(),
            shared_learning_rates=asked.rates_while_shared
            if asked.shared_learning_rates.model_fields_set
            else None,
            optimization=self.optimization,
            compute=self.compute,
            routes=asked.routes or "stitches",
            routes_per_step=asked.routes_per_step,
            share_of_anchors=asked.share_of_anchors,
            distillation=asked.distillation or "soft",
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

    def _placed(self) -> tuple[SharedNetwork, dict[str, Placement]]:
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
