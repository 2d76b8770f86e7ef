"""Images with labels, split once and for all."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tailorbird.errors import ContractError, in_a_line, shown
from tailorbird.notebook import counted, named

SPLITS = ("train", "validation", "test")
_LONGEST_NAME = 200  # characters of a data set's
_MOST_BYTES = 2**30  # of a split that are read to tell what is in it

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""Random change of a batch of training images (n, c, h, w), which keeps its shape."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Part of a data set. Arrays may be memory-mapped: only batches of them are read.

    Attributes:
        images: shape (n, channels, height, width), float32. What is no array of NumPy's, such as
            a tensor or a list, is made one.
        labels: class of each image, shape (n,), int64; other integers are made int64.

    Raises:
        ContractError: if they are anything else.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.images.shape[1:]))
        return f"Split({counted(len(self.labels), 'image')} of {shape})"

    def __post_init__(self) -> None:
        images, labels = _array(self.images, "Images"), np.asarray(_array(self.labels, "Labels"))
        if images.dtype != np.float32:
            raise ContractError(
                f"Images must be float32, but are {images.dtype}. Convert them with "
                "`.astype(numpy.float32)`, scaled as the networks are to see them."
            )
        if len(images.shape) < 2:
            raise ContractError(
                "Images must have shape (n, channels, height, width), but have "
                f"{tuple(images.shape)}."
            )
        if labels.ndim != 1:
            way_out = (
                "Take the class of each with `.argmax(axis=1)`."
                if labels.ndim == 2 and labels.shape[1] > 1
                else "Make them flat with `.reshape(-1)`."
            )
            raise ContractError(
                f"Labels must have shape (n,), one class for each image, but have "
                f"{tuple(labels.shape)}. {way_out}"
            )
        if not np.issubdtype(labels.dtype, np.integer):
            raise ContractError(
                f"Labels must be int64, numbers of classes from 0 on, but are {labels.dtype}. "
                "Convert them with `.astype(numpy.int64)`."
            )
        if len(images) != len(labels):
            raise ContractError(
                f"Each image needs a label, but there are {len(images)} images and "
                f"{len(labels)} labels."
            )
        if not labels.size:
            raise ContractError("A split must hold an image at least, but one holds none.")
        if labels.dtype != np.int64:
            labels = labels.astype(np.int64)
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels)

    def batch(self, index: NDArray[np.int64]) -> Tensor:
        """Images of these indices. Channels come last in memory: convolutions are faster so."""
        images = torch.from_numpy(np.ascontiguousarray(self.images[index]))
        return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images

    def spread(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yields all images with their indices, in pieces; above a gibibyte evenly spread ones."""
        n_bytes = 4 * int(np.prod(self.images.shape))
        every = max(1, -(-n_bytes // _MOST_BYTES))
        for index in np.array_split(np.arange(0, len(self.labels), every), 64):
            yield index, self.images[index]


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
        augment: changes training images.

    Raises:
        ContractError: if a label is no class, or anything else is not what it must be.
    """

    name: str
    n_classes: int
    train: Split
    validation: Split
    test: Split
    augment: Augment = unchanged

    def __repr__(self) -> str:
        splits = ", ".join(f"{len(getattr(self, split).labels):,} {split}" for split in SPLITS)
        return (
            f"Dataset({named(self.name)}, {counted(self.n_classes, 'class', 'classes')}, {splits})"
        )

    @property
    def fingerprint(self) -> str:
        """Name, and digits that change with labels and images.

        Of splits above a gibibyte, evenly spread images stand for all.
        """
        digest = hashlib.sha256()
        for split in (getattr(self, name) for name in SPLITS):
            digest.update(np.ascontiguousarray(split.labels).tobytes())
            for _, images in split.spread():
                digest.update(np.ascontiguousarray(images).tobytes())
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
            if not isinstance(split, Split):
                raise ContractError(
                    f"A data set's {name} split must be a Split of images and labels, but got "
                    f"{type(split).__name__}."
                )
            labels = split.labels
            if labels.min() < 0 or labels.max() >= self.n_classes:
                raise ContractError(
                    f"Labels must go from 0 to n_classes - 1 = {self.n_classes - 1}, but those of "
                    f"the {name} split of {self.name!r} go from {labels.min()} to {labels.max()}."
                )


def _array(values: Any, what: str) -> Any:
    """Returns what has a dtype of NumPy's and a shape as it is, anything else as an array."""
    if np.ma.is_masked(values):
        raise ContractError(f"{what} must be whole, but some are masked. Use `.filled(VALUE)`.")
    if isinstance(values, np.ma.MaskedArray):
        return values.filled()  # nothing is masked
    if isinstance(getattr(values, "dtype", None), np.dtype) and hasattr(values, "shape"):
        return values
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ContractError(
            f"{what} must be arrays of NumPy's, but {type(values).__name__} cannot be made one "
            f"({in_a_line(error)})."
        ) from None
