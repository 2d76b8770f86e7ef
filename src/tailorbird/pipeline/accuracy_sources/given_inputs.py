"""Shared weights that were trained with a loop of the user's own, and that a recipe names."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from tailorbird.errors import WeightsError, WeightsKeyError
from tailorbird.pipeline.accuracy_sources.training_inputs import TrainingInputs
from tailorbird.pipeline.accuracy_sources.training_passes import Passes
from tailorbird.pipeline.python_path import users_code
from tailorbird.progress import Progress
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training import Trained
from tailorbird.training.data.images import inputs
from tailorbird.training.distillation import labels_only
from tailorbird.training.shared.fitting_data import n_classes_of
from tailorbird.training.shared.network import fresh
from tailorbird.training.shared.network_trial import check_networks
from tailorbird.training.shared.weight_file import place
from tailorbird.training.supernet.train import check
from tailorbird.training.trial import Batch
from tailorbird.training.weights.preprocessing import preprocessing_of

_TRIED = 2  # images


@dataclass(frozen=True)
class GivenInputs(TrainingInputs):
    """Weights from a file, for which nothing is left to train."""

    idle: ClassVar = frozenset()  # the recipe was refused if it had some
    training: ClassVar = "nothing is trained"

    def train(self, folder: Path, progress: Progress) -> Trained:
        """Reads the file."""
        return self._trained[0]

    def load(self, folder: Path) -> Trained:
        """Reads the file."""
        return self._trained[0]

    def is_trained(self, folder: Path) -> bool:
        """True: the file was read."""
        return True

    def remarks(self) -> tuple[str, ...]:
        """Sentences on what was taken from the file."""
        return self._trained[1]

    def origin(self) -> str:
        """Says that the weights are from a file."""
        given = self.recipe.accuracy.trained
        assert given is not None  # or other inputs had been chosen
        return f", with the weights in {given.file}, trained elsewhere"

    def passes(self, folder: Path) -> Sequence[Passes]:
        """Empty: nothing is trained."""
        return ()

    def n_epochs(self) -> None:
        """None: nobody knows how the weights were trained."""

    @property
    def n_epochs_of(self) -> Mapping[str, int]:
        """No stages: nothing is trained."""
        return {}

    def check_keys(self) -> None:
        """Refuses learning rates of pieces that there are not.

        Raises:
            RecipeError: naming one.
        """
        super().check_keys()
        self.check_learning_rates("learning_rates")

    @cached_property
    def n_classes(self) -> int:
        """Number of classes that networks tell apart."""
        return n_classes_of(self.space)

    def published(self) -> Mapping[str, Preprocessing]:
        """Preprocessing that the weights were trained with, if their file says."""
        given = self.recipe.accuracy.trained
        found = None if given is None else preprocessing_of(self.home / given.file)
        return {} if found is None else {"trained": found}

    def check_fit(self) -> None:
        """Refuses data that do not fit the space.

        Raises:
            ContractError: if so.
        """
        check(self.space, self.dataset())

    def check_start(self) -> None:
        """Refuses a file that does not fit the space, and networks that cannot be evaluated.

        Raises:
            WeightsError: if it is the file.
            RecipeError: if it is the networks.
        """
        trained, train = self._trained[0], self.dataset().train
        index = np.arange(min(_TRIED, len(train.labels)))
        batch = Batch(inputs(train, index), torch.from_numpy(train.labels[index]))
        X, n_classes = smallest_and_largest(self.space), self.n_classes
        with users_code(self.named_space):
            network = deepcopy(trained.network).cpu()
            check_networks(self.space, network, X, {}, batch, labels_only, n_classes)

    def check_steps(self, batch: Batch) -> None:
        """Nothing: no step is made."""

    @cached_property
    def _trained(self) -> tuple[Trained, tuple[str, ...]]:
        given = self.recipe.accuracy.trained
        assert given is not None  # or other inputs had been chosen
        with users_code(self.named_space):
            network = fresh(self.space, self.recipe.seed)
        try:
            remarks = place(network, self.home / given.file, self.space.name, given.key)
        except WeightsKeyError as error:
            example = f'{{ file = "{error.path.name}", key = "{error.key}" }}'
            raise WeightsError(f"{error} In [accuracy]: trained = {example}.") from error
        train, score = self.dataset().train, self.score()
        return Trained(self.space, network, train, score, self.compute), remarks
