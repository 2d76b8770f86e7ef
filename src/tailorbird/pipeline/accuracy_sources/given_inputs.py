"""Shared weights that were trained with a loop of the user's own, and that a recipe names."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from tailorbird.pipeline.accuracy_sources.training_inputs import TrainingInputs
from tailorbird.progress import Progress
from tailorbird.training import Trained
from tailorbird.training.shared.fitting_data import n_classes_of
from tailorbird.training.shared.network import fresh
from tailorbird.training.shared.weight_file import place
from tailorbird.training.supernet.train import check
from tailorbird.training.trial import Batch


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

    @cached_property
    def n_classes(self) -> int:
        """Number of classes that networks tell apart."""
        return n_classes_of(self.space)

    def check_fit(self) -> None:
        """Refuses data that do not fit the space.

        Raises:
            ContractError: if so.
        """
        check(self.space, self.dataset())

    def check_start(self) -> None:
        """Refuses a file that does not fit the space.

        Raises:
            WeightsError: if so.
        """
        _ = self._trained

    def check_steps(self, batch: Batch) -> None:
        """Nothing: no step is made."""

    @cached_property
    def _trained(self) -> tuple[Trained, tuple[str, ...]]:
        network = fresh(self.space, self.recipe.seed)
        path = self.home / str(self.recipe.accuracy.trained)
        remarks = place(network, path, self.space.name)
        return Trained(self.space, network, self.dataset().train, self.score()), remarks
