"""Labelled images that are decoded from pictures whenever they are read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.training.data.images import Draw, channels_last
from tailorbird.training.data.picture_transforms import Augmentation, Transform, transforms_of
from tailorbird.training.data.pictures import Pictures
from tailorbird.training.data.seeding import seeded
from tailorbird.training.data.unreadable import check_readable

_TOLD_APART_BY = 64  # pictures whose bytes stand for all


@dataclass(frozen=True, eq=False)
class DecodedImages:
    """Labelled images that are decoded from pictures whenever they are read.

    Batches hold pixels, uint8, which become what networks take on the device.

    Attributes:
        pictures: of a split.
        preprocessing: how each becomes an image.
        augmentation: random changes of those that networks learn from.
    """

    pictures: Pictures
    preprocessing: Preprocessing
    augmentation: Augmentation = field(default_factory=Augmentation)

    is_in_memory: ClassVar = False

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        return f"DecodedImages({len(self.labels):,} images of {shape})"

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each image, (n,)."""
        return self.pictures.labels

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image, (channels, height, width)."""
        return (self.preprocessing.n_channels, *self.preprocessing.size)

    def batch(self, index: NDArray[Any], draw: Draw | None = None) -> Tensor:
        """Pixels of these images, uint8, (n, channels, height, width)."""
        generators = (None if draw is None else draw.generator(int(i)) for i in index)
        images = [self.decode(int(i), g) for i, g in zip(index, generators, strict=True)]
        return torch.stack(images)

    def decode(self, i: int, generator: torch.Generator | None = None) -> Tensor:
        """Pixels of one image, uint8, (channels, height, width).

        Args:
            i: its number.
            generator: decides how it is augmented; None for the image as it is evaluated.

        Raises:
            ContractError: naming it, if it is none.
        """
        picture = self.pictures.decoded(i, "L" if self.preprocessing.channels == "grey" else "RGB")
        plain, augmenting = self._transforms
        if generator is None:
            pixels = plain(picture)
        else:
            with seeded(generator):
                pixels = augmenting(picture)
        image = torch.from_numpy(np.ascontiguousarray(pixels))
        return image.flip(0) if self.preprocessing.channels == "bgr" else image

    def normalised(self, images: Tensor) -> Tensor:
        """What networks take: pixels scaled, less the mean, divided by the deviation."""
        scale, offset = (
            torch.tensor(values, device=images.device)[:, None, None]
            for values in self.preprocessing.scale_and_offset
        )
        return torch.addcmul(offset, channels_last(images).float(), scale)

    def contents(self) -> Iterator[bytes]:
        """Yields names, labels and preprocessing, and the bytes of evenly spread pictures."""
        yield f"{self.preprocessing.to_json()} {self.augmentation}".encode()
        yield self.pictures.listing.encode()
        n = len(self.labels)
        for i in np.unique(np.linspace(0, n - 1, min(n, _TOLD_APART_BY), dtype=int)):
            yield self.pictures.content(int(i))

    def check(self, named: str) -> None:
        """Refuses pictures that cannot be read; all are read once, and then known to be fine.

        Args:
            named: the split, for errors.

        Raises:
            ContractError: naming the first one.
        """
        check_readable(self.pictures)

    @cached_property
    def _transforms(self) -> tuple[Transform, Transform]:
        """Those of images as they are evaluated, and as networks learn from them."""
        return transforms_of(self.preprocessing, self.augmentation)
