"""Images of splits as arrays, for what takes nothing else."""

import numpy as np

from tailorbird.training import Split
from tailorbird.training.data.images import LabelledImages, inputs


def some_of(split: LabelledImages, n: int | None = None) -> Split:
    """The first images of a split, or all."""
    index = np.arange(len(split.labels))[:n]
    return Split(inputs(split, index).contiguous().numpy(), split.labels[index])
