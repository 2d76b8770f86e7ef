"""CIFAR-10 as JPEG: 20,000 of its images, from the data folder."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tailorbird.training.augment import shift_and_flip
from tailorbird.training.dataset import Dataset, Split

# Those that the pretrained networks were trained with.
_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)[:, None, None]
_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)[:, None, None]


def load(folder: Path) -> Dataset:
    """10,000 training images; the 10,000 test images halved into validation and test.

    JPEG loses a little of what CIFAR-10 is: figures on these images are figures on "CIFAR-10 as
    JPEG".

    Raises:
        OSError: if a file cannot be read.

    References:
        Krizhevsky: Learning Multiple Layers of Features from Tiny Images. 2009.
    """
    train = _read(folder / "cifar10_jpeg_train10k.npz")
    images, labels = _read(folder / "cifar10_jpeg_test10k.npz")
    order = np.random.default_rng(0).permutation(len(labels))
    validation, test = (Split(images[half], labels[half]) for half in np.split(order, 2))
    return Dataset("cifar10-jpeg", 10, Split(*train), validation, test, shift_and_flip)


def _read(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    from PIL import Image

    with np.load(path, allow_pickle=False) as file:
        jpeg, offset, labels = (file[name] for name in ("jpeg", "offset", "label"))
    images = np.empty((len(labels), 3, 32, 32), dtype=np.float32)
    for i, (first, end) in enumerate(pairwise(offset)):
        with Image.open(io.BytesIO(jpeg[first:end].tobytes())) as image:
            images[i] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    return (images / np.float32(255) - _MEAN) / _STD, labels.astype(np.int64)
