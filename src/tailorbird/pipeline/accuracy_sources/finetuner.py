"""Training of single networks of a recipe: on from the shared weights, or from scratch."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from tailorbird.errors import RecipeError
from tailorbird.pipeline.accuracy_sources.training_inputs import TrainingInputs
from tailorbird.pipeline.accuracy_sources.union_inputs import UnionInputs
from tailorbird.pipeline.python_path import users_code
from tailorbird.progress import Progress
from tailorbird.spaces import IntArray
from tailorbird.spaces.trial import check_torch
from tailorbird.training import Trained
from tailorbird.training.distillation import loss_of
from tailorbird.training.finetuning.one_network import OneNetwork
from tailorbird.training.finetuning.train import (
    Finetuned,
    finetune,
    finetuned_stage,
    load,
    load_alone,
    train_alone,
)
from tailorbird.training.shared.network_trial import check_networks
from tailorbird.training.shared.stage import Stage
from tailorbird.training.trial import check_teacher, tried_batch


@dataclass(frozen=True)
class Finetuner:
    """Trains single networks with the data of a recipe.

    Attributes:
        inputs: data, score and teacher.
        trained: gives all networks with their shared weights, or raises `MissingStepError`.
        folder: for weights of single networks.
    """

    inputs: TrainingInputs | UnionInputs
    trained: Callable[[], Trained]
    folder: Path

    def check(self, row: IntArray, *, from_scratch: bool) -> None:
        """Refuses what cannot be trained on, before it is.

        Args:
            row: canonical row (d,) of the network.
            from_scratch: whether it is to be trained from scratch as well.

        Raises:
            RecipeError: if nothing of the network learns, learning rates never fall, the teacher
                gives no logits, or nobody knows how long the shared weights were trained.
        """
        settings = self.inputs.finetuning(row)
        one = OneNetwork(self.inputs.space, row)
        if not any(settings.learning_rates.get(piece.kind) for piece in one.pieces):
            raise RecipeError(
                "[accuracy.learning_rates] must be above 0 for some part of a network that is "
                "finetuned, but they are 0 for every part. Raise one."
            )
        warm_up = settings.optimization.warm_up_epochs
        if warm_up is not None and warm_up >= settings.epochs:
            raise RecipeError(
                f"[accuracy] finetune_epochs must be above warm_up_epochs = {warm_up}, or learning "
                f"rates never fall again, but are {settings.epochs}. Raise finetune_epochs: with "
                "another warm-up all weights would be trained anew."
            )
        if from_scratch and self.inputs.alone(row) is None:
            raise RecipeError(
                "From scratch a network is trained for as many passes as its weights had, but "
                "those in files were trained elsewhere, nobody knows for how long. Leave out "
                "`--against-scratch`."
            )
        if not self._stage(row).is_made():
            self._check_step(row)

    def _check_step(self, row: IntArray) -> None:
        """Tries the teacher on two images, and the network in training."""
        inputs, settings = self.inputs, self.inputs.finetuning(row)
        batch, teacher = tried_batch(inputs.dataset(), settings.batch), inputs.teacher()
        if teacher is not None:
            with users_code(f"[accuracy] teacher = {settings.teacher!r}"):
                check_teacher(teacher, batch, inputs.n_classes)
                check_torch()
        with users_code(inputs.named_space):
            check_networks(
                inputs.space,
                deepcopy(self.trained().network).cpu(),  # whose norms see the images
                row[None],
                settings.learning_rates,
                batch,
                loss_of(settings.distillation, teacher, settings.optimization.label_smoothing),
                inputs.n_classes,
            )

    def train(self, row: IntArray, progress: Progress) -> Finetuned:
        """Trains a network on, or loads what was made so."""
        inputs = self.inputs
        return finetune(
            self.trained(),
            row,
            inputs.dataset(),
            inputs.finetuning(row),
            self.folder,
            progress,
            teacher=inputs.teacher(),
            score=inputs.score(),
        )

    def load(self, row: IntArray) -> Finetuned | None:
        """Loads what `train` made; None if there is no such thing."""
        inputs = self.inputs
        return load(
            self.trained(),
            row,
            inputs.dataset(),
            inputs.finetuning(row),
            self.folder,
            inputs.score(),
        )

    def is_made(self, row: IntArray) -> bool:
        """True if `load` will find weights, whole or not."""
        return self._stage(row).is_made()

    def has_others(self, row: IntArray) -> bool:
        """True if a network was trained on from other weights, or with other settings."""
        stage = self._stage(row)
        return stage.path.exists() and not stage.is_made()

    def train_alone(self, row: IntArray, progress: Progress) -> Trained:
        """Trains a network from scratch for all passes, or loads what was made so."""
        inputs, settings = self.inputs, self.inputs.alone(row)
        assert settings is not None  # or it was refused
        return train_alone(
            inputs.space,
            row,
            inputs.dataset(),
            settings,
            self.folder,
            progress,
            teacher=inputs.teacher(),
            score=inputs.score(),
        )

    def load_alone(self, row: IntArray) -> Trained | None:
        """Loads what `train_alone` made; None if there is no such thing."""
        inputs, settings = self.inputs, self.inputs.alone(row)
        if settings is None:
            return None
        return load_alone(
            inputs.space, row, inputs.dataset(), settings, self.folder, inputs.score()
        )

    def n_epochs_alone(self, row: IntArray) -> int | None:
        """Passes of all networks, and of one that is trained on; None if they are not known."""
        settings = self.inputs.alone(row)
        return None if settings is None else settings.epochs

    def _stage(self, row: IntArray) -> Stage:
        inputs = self.inputs
        return finetuned_stage(
            OneNetwork(inputs.space, row),
            self.trained().fingerprint,
            inputs.dataset(),
            inputs.finetuning(row),
            self.folder,
        )
