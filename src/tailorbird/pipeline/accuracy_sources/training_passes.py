"""Passes over the training images that are left, and how long they take here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tailorbird.pipeline.planned_work import PlannedWork
from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.training import Dataset
from tailorbird.training.compute import Compute
from tailorbird.training.pace import Pace, pace_of

_TYPICAL = 3  # networks that stand for all of a space


@dataclass(frozen=True, slots=True)
class Passes:
    """Passes of networks over the training images.

    Attributes:
        what: learns.
        epochs: of one network each.
        space: of the networks.
        rows: of some that take as long as those that are trained, (n, d).
        teachers: of networks that answer each image as well, (m, d).
    """

    what: str
    epochs: int
    space: SearchSpace
    rows: IntArray
    teachers: IntArray


class Trains(Protocol):
    """What is trained from inputs of a recipe."""

    def is_trained(self, folder: Path) -> bool:
        """True if nothing is left to train."""

    def passes(self, folder: Path) -> Sequence[Passes]:
        """Passes that are left, unless all is trained."""

    def dataset(self) -> Dataset:
        """Whose training images they are over."""

    @property
    def compute(self) -> Compute:
        """Where and how networks compute."""


def typical(space: SearchSpace) -> IntArray:
    """Rows (n, d) of a few networks that stand for all of a space."""
    return space.sample(_TYPICAL, np.random.default_rng(0))


@dataclass(frozen=True, slots=True)
class Paces:
    """Tells how long training and evaluation take, by trying a few steps.

    Attributes:
        trains: what is trained.
        batch: images of a step.
    """

    trains: Trains
    batch: int

    def training(self, folder: Path) -> PlannedWork:
        """What is left to train in a folder of weights."""
        if self.trains.is_trained(folder):
            return PlannedWork("train", "nothing: weights are there", 0.0)
        n, seconds, told = len(self.trains.dataset().train.labels), 0.0, list[str]()
        for left in self.trains.passes(folder):
            if left.epochs:
                told.append(f"{left.what}, {left.epochs:,} epochs")
                per_image_s = np.mean([pace.training_s for pace in self._of(left.space, left.rows)])
                per_image_s += sum(p.evaluation_s for p in self._of(left.space, left.teachers))
                seconds += left.epochs * n * float(per_image_s)
        if not told:
            return PlannedWork("train", "nothing: weights are taken as they are", 0.0)
        return PlannedWork("train", f"{'; '.join(told)}; of {n:,} images", seconds)

    def evaluation_s(self, space: SearchSpace) -> float:
        """Seconds that networks of a space take for an image, on average."""
        return float(np.mean([pace.evaluation_s for pace in self._of(space, typical(space))]))

    def _of(self, space: SearchSpace, rows: IntArray) -> Iterator[Pace]:
        for row in rows:
            network, shape = space.build(row), space.input_shape[1:]
            yield pace_of(network, shape, self.batch, self.trains.compute)
