"""Images with labels, split once and for all."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tailorbird.errors import ContractError, shown
from tailorbird.notebook import counted, named
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.training.data.images import LabelledImages

SPLITS = ("train", "validation", "test")
_LONGEST_NAME = 200  # characters of a data set's

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""Random change of a batch of training images (n, c, h, w), which keeps its shape."""


def unchanged(images: Tensor, generator: torch.Generator) -> Tensor:
    """Augmentation that changes nothing."""
    return images


@dataclass(frozen=True, slots=True)
class Dataset:
    """Three disjoint splits: weights see `train`, a search sees `validation`, reports `test`.

    Attributes:
        name: for people.
        n_classes: labels go from 0 to n_classes - 1.
        train: for weights.
        validation: for a search.
        test: for reports.
        augment: changes batches of training images, before they are `normalised`.
        preprocessing: how pictures became these images; None if nobody says.
        class_names: of each class, in the order of labels; none if nobody says.

    Raises:
        ContractError: if a label is no class, or anything else is not what it must be.
    """

    name: str
    n_classes: int
    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages
    augment: Augment = unchanged
    preprocessing: Preprocessing | None = None
    class_names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        splits = ", ".join(f"{len(getattr(self, split).labels):,} {split}" for split in SPLITS)
        return (
            f"Dataset({named(self.name)}, {counted(self.n_classes, 'class', 'classes')}, {splits})"
        )

    @property
    def fingerprint(self) -> str:
        """Name, and digits that change with labels and images."""
        digest = hashlib.sha256()
        for split in (getattr(self, name) for name in SPLITS):
            for content in split.contents():
                digest.update(content)
        return f"{self.name}@{digest.hexdigest()[:12]}"

    def __post_init__(self) -> None:
        named = isinstance(self.name, str) and self.name.isprintable()
        if not (named and 0 < len(self.name) <= _LONGEST_NAME):
            raise ContractError(
                f"A data set's name must be a text of at most {_LONGEST_NAME} characters, but got "
                f"{shown(self.name)}."
            )
        if not isinstance(self.n_classes, int | np.integer) or self.n_classes < 2:
            raise ContractError(
                "A data set's n_classes must be a whole number, two or more, but got "
                f"{shown(self.n_classes)}."
            )
        if not callable(self.augment):
            raise ContractError(
                "A data set's augment must be a function of images and a torch.Generator, but got "
                f"{type(self.augment).__name__}. Leave it out for no augmentation."
            )
        for name in SPLITS:
            split = getattr(self, name)
            if not isinstance(split, LabelledImages):
                raise ContractError(
                    f"A data set's {name} split must be a Split of images and labels, or "
                    f"TorchImages of a torch Dataset, but got {type(split).__name__}."
                )
            labels = split.labels
            if labels.min() < 0 or labels.max() >= self.n_classes:
                raise ContractError(
                    f"Labels must go from 0 to n_classes - 1 = {self.n_classes - 1}, but those of "
                    f"the {name} split of {self.name!r} go from {labels.min()} to {labels.max()}."
                )
        names = self.class_names
        is_texts = isinstance(names, tuple) and all(isinstance(name, str) for name in names)
        if not is_texts or len(names) not in (0, self.n_classes):
            raise ContractError(
                f"A data set's class_names must be a tuple of n_classes = {self.n_classes} texts, "
                f"or empty, but got {shown(names)}."
            )
