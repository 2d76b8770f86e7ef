"""Images with labels, split once and for all."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_HASHED_BYTES = 2**30

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""A batch of training images (n, c, h, w) to one of the same shape, changed by chance."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Part of a data set. Arrays may be memory-mapped: only batches of them are read.

    Attributes:
        images: shape (n, channels, height, width), float32.
        labels: class of each image, shape (n,), int64.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels) or not len(self.labels):
            raise ValueError(
                f"Each image needs a label, but got {len(self.images)} images and "
                f"{len(self.labels)} labels."
            )
        types = (str(self.images.dtype), str(self.labels.dtype))
        if types != ("float32", "int64"):
            raise ValueError(
                f"Images must be float32 and labels int64, but got {types[0]} and {types[1]}."
            )

    def batch(self, index: NDArray[np.int64]) -> Tensor:
        """Images of these numbers. Channels come last in memory: convolutions are faster so."""
        images = torch.from_numpy(np.ascontiguousarray(self.images[index]))
        return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images


def unchanged(images: Tensor, generator: torch.Generator) -> Tensor:
    """No augmentation."""
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
        augment: changes training images.

    Raises:
        ValueError: if a label is no class.
    """

    name: str
    n_classes: int
    train: Split
    validation: Split
    test: Split
    augment: Augment = unchanged

    @property
    def fingerprint(self) -> str:
        """Name, and digits that change with labels and images.

        Of splits above a gibibyte, evenly spread images stand for all.
        """
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            digest.update(np.ascontiguousarray(split.labels).tobytes())
            n_bytes = 4 * int(np.prod(split.images.shape))
            every = -(-n_bytes // _HASHED_BYTES)
            for index in np.array_split(np.arange(0, len(split.labels), every), 64):
                digest.update(np.ascontiguousarray(split.images[index]).tobytes())
        return f"{self.name}@{digest.hexdigest()[:12]}"

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            labels = getattr(self, name).labels
            if labels.min() < 0 or labels.max() >= self.n_classes:
                raise ValueError(
                    f"`0 <= label < n_classes = {self.n_classes}` must hold, but those of the "
                    f"{name} split of {self.name!r} go from {labels.min()} to {labels.max()}."
                )
