"""Shares of the images of a step that several processes take."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

FEWEST = 2
"""Images of a part that a process takes, from which norms learn."""


@dataclass(frozen=True, slots=True)
class Share:
    """Images of a step that one process takes.

    Attributes:
        parts: in which they pass one after another, each as its place in the batch.
        n_images: of the batch, that of all processes.
        n_takers: processes that take the same images: all, where these are too few to be shared.
    """

    parts: Sequence[slice]
    n_images: int
    n_takers: int = 1

    @property
    def is_whole(self) -> bool:
        """True if it is the whole batch."""
        return sum(self.sizes) == self.n_images

    @property
    def sizes(self) -> list[int]:
        """Number of images of each part."""
        return [part.stop - part.start for part in self.parts]

    @property
    def weights(self) -> list[float]:
        """Weight of each part in the mean over all images of the step."""
        return [size / self.n_images / self.n_takers for size in self.sizes]

    @property
    def index(self) -> NDArray[np.int64]:
        """Places of the images in the batch."""
        return np.concatenate([np.arange(part.start, part.stop) for part in self.parts])

    def of(self, values: Tensor) -> Tensor:
        """What of a batch (n, …) this process takes."""
        return values if self.is_whole else values[self.index]


def share_of(n_images: int, n_parts: int, number: int, n: int) -> Share:
    """Share of the images of a step that one of n processes takes.

    Parts are those of one process, and each is shared, so that batch norms see the same images.

    Args:
        n_images: of the step.
        n_parts: in which they pass.
        number: of the process.
        n: number of processes.
    """
    edges = np.cumsum([0, *map(len, np.array_split(np.empty(n_images), n_parts))])
    parts = [slice(int(a), int(b)) for a, b in pairwise(edges)]
    if n == 1:
        return Share(parts, n_images)
    if n_images < FEWEST * n_parts * n:
        return Share(parts, n_images, n_takers=n)
    own = []
    for part in parts:
        pieces = np.array_split(np.arange(part.start, part.stop), n)
        own.append(slice(int(pieces[number][0]), int(pieces[number][-1]) + 1))
    return Share(own, n_images)
