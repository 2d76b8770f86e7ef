"""Images of splits as arrays, for what takes nothing else."""

import numpy as np

from tailorbird.training import Split
from tailorbird.training.data.images import LabelledImages, inputs


def drawn_of(split: LabelledImages, n: int, seed: int = 0) -> Split:
    """Images of a split that are drawn at random, where they lie sorted by label."""
    index = np.random.default_rng(seed).permutation(len(split.labels))[:n]
    return Split(inputs(split, index).contiguous().numpy(), split.labels[index])


def some_of(split: LabelledImages, n: int | None = None) -> Split:
    """The first images of a split, or all."""
    index = np.arange(len(split.labels))[:n]
    return Split(inputs(split, index).contiguous().numpy(), split.labels[index])
