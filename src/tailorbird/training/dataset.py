"""Images with labels, split once and for all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Part of a data set.

    Attributes:
        images: shape (n, channels, height, width), float32.
        labels: class of each image, shape (n,), int64.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Three disjoint splits: weights see `train`, a search sees `validation`, reports `test`."""

    name: str
    train: Split
    validation: Split
    test: Split
