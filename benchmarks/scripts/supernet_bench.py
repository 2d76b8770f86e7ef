"""Supernets and networks alone that are trained once and kept, for comparisons of both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.alone import trained_alone
from tailorbird.progress import TerminalProgress
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.chains import Chain
from tailorbird.training import (
    Dataset,
    SupernetTraining,
    Trained,
    digits,
    train_supernet,
)
from tailorbird.training.data import cifar10
from tailorbird.training.data.images import LabelledImages


@dataclass(frozen=True)
class Task:
    """What is trained, and how long.

    Attributes:
        load: gives the images.
        epochs: of a supernet.
        epochs_alone: of a network alone; the first are also those of networks that are ranked.
    """

    load: Callable[[], Dataset]
    epochs: int
    epochs_alone: tuple[int, ...]


TASKS = {
    "digits-elastic": Task(digits.load, 200, (30, 86)),
    "cifar-elastic": Task(cifar10.load_published, 12, (2, 5)),
}


@dataclass(frozen=True)
class Bench:
    """What all parts of the benchmark share.

    Attributes:
        space: of the networks.
        dataset: that they are trained on.
        folder: for weights.
        epochs: of the supernets that are compared.
        epochs_alone: of networks alone, a budget each; the first is of those that are ranked.
        n_seeds: number of seeds, from 0 on.
    """

    space: Chain
    dataset: Dataset
    folder: Path
    epochs: int
    epochs_alone: tuple[int, ...]
    n_seeds: int

    def supernet(self, epochs: int, rule: str, routes: str, seed: int) -> Trained:
        folder = self.folder / f"{rule}-{routes}-{epochs}-epochs-seed-{seed}"
        settings = SupernetTraining(epochs, seed, rule=rule, routes=routes)
        return train_supernet(self.space, self.dataset, settings, folder, TerminalProgress())

    def alone(
        self, X: IntArray, epochs: int, splits: Sequence[LabelledImages], seed: int
    ) -> FloatArray:
        """Accuracies of networks (n, d), each trained alone, on some splits together, (n,)."""
        folder = self.folder / "alone"
        made = [trained_alone(self.space, r, self.dataset, epochs, seed, folder) for r in X]
        return np.concatenate(
            [accuracy_on(one, row[None], splits) for one, row in zip(made, X, strict=True)]
        )


def both_of(dataset: Dataset) -> tuple[LabelledImages, LabelledImages]:
    """All images that nothing was trained on."""
    return dataset.validation, dataset.test


def accuracy_on(trained: Trained, X: IntArray, splits: Sequence[LabelledImages]) -> FloatArray:
    """Accuracies of networks (n, d) on the images of all splits together, (n,)."""
    n = np.array([len(split.labels) for split in splits])
    return np.asarray(n @ [trained.evaluate(X, split) for split in splits] / n.sum())
