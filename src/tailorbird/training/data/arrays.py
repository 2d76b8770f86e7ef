"""Labelled images in arrays of NumPy's."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tailorbird.errors import ContractError, in_a_line
from tailorbird.notebook import counted
from tailorbird.training.data.images import Draw, channels_last, not_finite

_MOST_BYTES = 2**30  # of a split that are read to tell what is in it


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Labelled images in arrays, which may be memory-mapped: only batches of them are read.

    Attributes:
        images: shape (n, channels, height, width), float32. What is no array of NumPy's, such as
            a tensor or a list, is made one.
        labels: class of each image, shape (n,), int64; other integers are made int64.

    Raises:
        ContractError: if they are anything else.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    is_in_memory: ClassVar = True

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

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return tuple(self.images.shape[1:])

    def batch(self, index: NDArray[Any], draw: Draw | None = None) -> Tensor:
        """Images of these indices; the data set's `augment` changes them, and no draw does."""
        return channels_last(torch.from_numpy(np.ascontiguousarray(self.images[index])))

    def normalised(self, images: Tensor) -> Tensor:
        """The images: they are scaled as networks are to see them."""
        return images

    def contents(self) -> Iterator[bytes]:
        """Yields labels and images; above a gibibyte evenly spread ones."""
        yield np.ascontiguousarray(self.labels).tobytes()
        for _, images in self._spread():
            yield np.ascontiguousarray(images).tobytes()

    def check(self, named: str) -> None:
        """Refuses images that hold NaN or infinities; above a gibibyte some are looked at.

        Args:
            named: the split, for errors.

        Raises:
            ContractError: naming the first one.
        """
        for index, images in self._spread():
            fine = np.isfinite(images).all(axis=tuple(range(1, images.ndim)))
            if not fine.all():
                raise not_finite(index[~fine][0], named)

    def _spread(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yields all images with their indices, in pieces; above a gibibyte evenly spread ones."""
        n_bytes = 4 * int(np.prod(self.images.shape))
        every = max(1, -(-n_bytes // _MOST_BYTES))
        for index in np.array_split(np.arange(0, len(self.labels), every), 64):
            yield index, self.images[index]


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
