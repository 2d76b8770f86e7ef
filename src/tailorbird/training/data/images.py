"""Images with labels, each read by its number."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tailorbird.errors import ContractError


@dataclass(frozen=True, slots=True)
class Draw:
    """What decides how the images of an epoch are augmented, besides their numbers.

    Attributes:
        seed: of training.
        epoch: from 0 on.
    """

    seed: int
    epoch: int

    def generator(self, i: int) -> torch.Generator:
        """Generator of an image; the same whenever, and in whatever process, it is read."""
        state = np.random.SeedSequence([self.seed, self.epoch, i, 2]).generate_state(1)
        return torch.Generator().manual_seed(int(state[0]))


@runtime_checkable
class LabelledImages(Protocol):
    """Images of a split, read a batch at a time, in any process."""

    @property
    def is_in_memory(self) -> bool:
        """True if reading a batch is a copy, so that other processes would only be in the way."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each image, (n,)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image, (channels, height, width)."""

    def batch(self, index: NDArray[Any], draw: Draw | None = None) -> Tensor:
        """Images of these indices, (n, channels, height, width), before `normalised`.

        Args:
            index: numbers of images, (n,).
            draw: decides how each is augmented; None for images as they are evaluated.
        """

    def normalised(self, images: Tensor) -> Tensor:
        """What networks take, float32, on the device of the images of a batch."""

    def contents(self) -> Iterator[bytes]:
        """Yields what tells these images and labels from others, in pieces."""

    def check(self, named: str) -> None:
        """Refuses images that no network can learn from.

        Args:
            named: the split, for errors.

        Raises:
            ContractError: naming one.
        """


def inputs(
    images: LabelledImages, index: NDArray[Any], device: torch.device | str = "cpu"
) -> Tensor:
    """Images of these indices as networks take them, (n, channels, height, width), on a device."""
    return on_device(images, images.batch(index), device)


def on_device(images: LabelledImages, batch: Tensor, device: torch.device | str) -> Tensor:
    """A batch as networks take it; pixels travel as they are, and become numbers there."""
    return images.normalised(batch.to(device, non_blocking=True))


def channels_last(images: Tensor) -> Tensor:
    """Images in a memory layout in which convolutions are faster; their shape stays."""
    is_image = images.ndim == 4
    return images.contiguous(memory_format=torch.channels_last) if is_image else images


def not_finite(number: int, named: str) -> ContractError:
    """Error about an image that holds NaN or infinities."""
    return ContractError(
        f"Images must be finite, but image {number} of {named} is not. Leave it out, or look at "
        "how it was made."
    )
