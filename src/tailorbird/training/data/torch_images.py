"""Labelled images of a torch Dataset of the user's own."""

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from tailorbird.errors import ContractError, in_a_line, raising
from tailorbird.training.data.images import Draw, channels_last, not_finite
from tailorbird.training.data.seeding import seeded

_TOLD_APART_BY = 64  # images that stand for all
_LOOKED_AT = 256


class TorchImages:
    """Labelled images of a map-style torch Dataset, each item an image and its class.

    What its transforms draw by chance, from Python's, NumPy's or torch's common generators, depends
    on the seed of training, the epoch and the number of the image alone.

    Args:
        dataset: gives an image (channels, height, width), float32 as networks take it, and a class.
        plain: gives the same images without augmentation, by which batch norms are calibrated; the
            same ones if None.
        labels: class of each image, (n,); if None, those of its attribute `targets`, or of all
            items, each of which is read for that.

    Raises:
        ContractError: if an item is anything else.
    """

    is_in_memory = False

    def __init__(
        self,
        dataset: "TorchDataset[Any]",
        plain: "TorchDataset[Any] | None" = None,
        labels: NDArray[np.int64] | None = None,
    ) -> None:
        self._dataset = dataset
        self._plain = dataset if plain is None else plain
        self.shape = tuple(self._item(self._plain, 0)[0].shape)
        self.labels = self._labels(labels)

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        return f"TorchImages({len(self.labels):,} images of {shape})"

    def batch(self, index: NDArray[Any], draw: Draw | None = None) -> Tensor:
        """Images of these indices, (n, channels, height, width)."""
        images = []
        for i in map(int, index):
            generator = (Draw(0, 0) if draw is None else draw).generator(i)
            with seeded(generator):
                images.append(self._item(self._plain if draw is None else self._dataset, i)[0])
        if any(image.shape != self.shape for image in images):
            shapes = {tuple(image.shape) for image in images}
            raise ContractError(
                f"All images must have one shape, but some have {self.shape}, others "
                f"{next(iter(shapes - {self.shape}))}. Resize them in the Dataset."
            )
        return torch.stack(images)

    def normalised(self, images: Tensor) -> Tensor:
        """The images: they are scaled as networks are to see them."""
        return channels_last(images)

    def contents(self) -> Iterator[bytes]:
        """Yields labels, and evenly spread images."""
        yield self.labels.tobytes()
        yield self.batch(self._spread(_TOLD_APART_BY)).numpy().tobytes()

    def check(self, named: str) -> None:
        """Refuses images that hold NaN or infinities, of evenly spread ones.

        Args:
            named: the split, for errors.

        Raises:
            ContractError: naming the first one.
        """
        for i in self._spread(_LOOKED_AT):
            if not self.batch(np.array([i])).isfinite().all():
                raise not_finite(i, named)

    def _spread(self, most: int) -> NDArray[np.int64]:
        n = len(self.labels)
        return np.unique(np.linspace(0, n - 1, min(n, most), dtype=np.int64))

    def _item(self, dataset: "TorchDataset[Any]", i: int) -> tuple[Tensor, int]:
        """An image and its class.

        Raises:
            ContractError: if it is something else.
        """
        with raising(lambda error: _unfit(i, f"it failed ({in_a_line(error)})")):
            item = dataset[i]
        is_pair = isinstance(item, tuple | list) and len(item) == 2
        image = item[0] if is_pair else None
        if not isinstance(image, Tensor) or image.dtype != torch.float32 or image.ndim < 1:
            what = f"{image.dtype} " if isinstance(image, Tensor) else ""
            what += type(image if is_pair else item).__name__
            raise _unfit(i, f"it gave {what}{' as the image' * is_pair}")
        return image.detach(), item[1]  # one that needs gradients cannot be sent

    def _labels(self, given: NDArray[np.int64] | None) -> NDArray[np.int64]:
        n = len(self._dataset)  # type: ignore[arg-type]  # torch's own has no length
        labels = getattr(self._plain, "targets", None) if given is None else given
        if labels is None:
            labels = [self._item(self._plain, i)[1] for i in range(n)]
        with raising(lambda error: _unfit(0, f"its classes are none ({in_a_line(error)})")):
            array = np.array([operator.index(label) for label in labels], dtype=np.int64)
        if len(self._plain) != n:  # type: ignore[arg-type]  # likewise
            raise ContractError(
                "The images without augmentation must be as many as those with, but there are "
                f"{len(self._plain)} and {n}."  # type: ignore[arg-type]  # likewise
            )
        if array.shape != (n,) or not n:
            raise ContractError(
                f"Each image needs a class, but there are {n} images and {array.size} classes."
            )
        return array


def _unfit(i: int, reason: str) -> ContractError:
    return ContractError(
        f"A torch Dataset must give images, float32 tensors (channels, height, width), and their "
        f"classes, but for item {i} {reason}. Convert images in its `__getitem__`."
    )
