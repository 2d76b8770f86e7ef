"""Scikit-learn's handwritten digits: 1,797 grey images of 8x8 pixels, shipped with the package."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.training.data.arrays import Split
from tailorbird.training.data.augment import shift
from tailorbird.training.data.dataset import Dataset

_SPLIT_SEED = 0

PREPROCESSING = Preprocessing(
    (8, 8), crop=1.0, mean=(0.5,), std=(1.0,), channels="grey", value_range=(0.0, 1.0)
)
"""Facts of the digits: ink is white on black, and pixels have 17 values."""


def load() -> Dataset:
    """The digits: 600 training, 600 validation and 597 test images, in a fixed stratified split."""
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 1, 8, 8) / 16.0 - 0.5).astype(np.float32)
    index = np.arange(len(labels))
    train, rest = train_test_split(index, train_size=600, stratify=labels, random_state=_SPLIT_SEED)
    validation, test = train_test_split(
        rest, train_size=600, stratify=labels[rest], random_state=_SPLIT_SEED
    )
    first, second, third = (
        Split(images[i], labels[i].astype(np.int64)) for i in (train, validation, test)
    )
    names = tuple(map(str, range(10)))
    return Dataset("digits", 10, first, second, third, shift, PREPROCESSING, names)
