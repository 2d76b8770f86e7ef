"""CIFAR-10 as JPEG: 20,000 of its images, from the data folder."""

import io
import zipfile
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import ContractError, in_a_line
from tailorbird.published.data_folder import data_folder
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.training.data.arrays import Split
from tailorbird.training.data.augment import shift_and_flip
from tailorbird.training.data.dataset import Dataset

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_N_CLASSES, _SIDE = len(CLASS_NAMES), 32
_MOST_BYTES = 256 * 2**20  # of the arrays of a file; those of 10,000 images take 9 MB

PREPROCESSING = Preprocessing((_SIDE, _SIDE), crop=1.0)
"""Facts of the images: mean and deviation are those of the pretrained networks' training."""

_MEAN, _STD = (
    np.array(values, dtype=np.float32)[:, None, None]
    for values in (PREPROCESSING.mean, PREPROCESSING.std)
)


def load(folder: Path) -> Dataset:
    """CIFAR-10: 10,000 training images, and its test images halved into validation and test.

    JPEG loses a little of what CIFAR-10 is: figures on these images are figures on "CIFAR-10 as
    JPEG".

    Raises:
        OSError: if a file cannot be read.
        ContractError: if a file is torn, or holds something else.

    References:
        Krizhevsky: Learning Multiple Layers of Features from Tiny Images. 2009.
    """
    train = _read(folder / "cifar10_jpeg_train10k.npz")
    images, labels = _read(folder / "cifar10_jpeg_test10k.npz")
    order = np.random.default_rng(0).permutation(len(labels))
    validation, test = (Split(images[half], labels[half]) for half in np.split(order, 2))
    return Dataset(
        "cifar10-jpeg",
        _N_CLASSES,
        Split(*train),
        validation,
        test,
        shift_and_flip,
        PREPROCESSING,
        CLASS_NAMES,
    )


def load_published() -> Dataset:
    """CIFAR-10 as JPEG from the data folder.

    Raises:
        ContractError: if it is not there, or is torn.
    """
    folder = data_folder()
    try:
        return load(folder)
    except OSError as error:
        raise ContractError(
            f"CIFAR-10 as JPEG is not in {str(folder)!r} ({error}), and cannot be fetched. "
            "Name the folder that holds it in the environment variable TAILORBIRD_DATA."
        ) from None


def _read(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    try:
        with zipfile.ZipFile(path) as file:
            _check(
                sum(member.file_size for member in file.infolist()) <= _MOST_BYTES,
                f"its arrays must have at most {_MOST_BYTES / 2**20:g} MiB",
            )
        with np.load(path, allow_pickle=False) as arrays:
            jpeg, offset, labels = (arrays[name] for name in ("jpeg", "offset", "label"))
        _check_arrays(jpeg, offset, labels)
        images = np.empty((len(labels), 3, _SIDE, _SIDE), dtype=np.float32)
        for number, (first, end) in enumerate(pairwise(offset.tolist())):
            images[number] = _image(jpeg[first:end].tobytes(), number)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).strip("'\"").rstrip(".")
        raise ContractError(
            f"The file {str(path)!r} is torn, or not CIFAR-10 as JPEG ({reason}). Put a whole copy "
            "there, or name the folder that holds one in the environment variable TAILORBIRD_DATA."
        ) from None
    return (images / np.float32(255) - _MEAN) / _STD, labels.astype(np.int64)


def _check_arrays(jpeg: NDArray[Any], offset: NDArray[Any], labels: NDArray[Any]) -> None:
    whole = np.issubdtype(offset.dtype, np.integer) and np.issubdtype(labels.dtype, np.integer)
    _check(whole, "offset and label must hold whole numbers")
    _check(jpeg.dtype == np.uint8 and jpeg.ndim == 1, "jpeg must hold bytes, (n,)")
    _check(
        labels.ndim == 1 and offset.shape == (len(labels) + 1,),
        f"label must be (n,) and offset (n + 1,), but are {labels.shape} and {offset.shape}",
    )
    _check(len(labels) >= 2 * _N_CLASSES, f"there are {len(labels)} images only")
    ends = offset.astype(np.int64)
    rises = ends[0] >= 0 and (np.diff(ends) > 0).all() and ends[-1] <= len(jpeg)
    _check(bool(rises), "offset must rise from 0 to the end of jpeg")
    wrong = (labels < 0) | (labels >= _N_CLASSES)
    number = int(wrong.argmax())
    _check(
        not wrong.any(),
        f"labels must be 0 to {_N_CLASSES - 1}, but that of image {number} is {labels[number]}",
    )


def _check(holds: bool, law: str) -> None:
    if not holds:
        raise ValueError(law)


def _image(content: bytes, number: int) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            _check(
                image.size == (_SIDE, _SIDE),
                f"images must be {_SIDE}x{_SIDE}, but image {number} is {image.size}",
            )
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except (OSError, SyntaxError) as error:
        raise ValueError(f"image {number} is no JPEG: {in_a_line(error)}") from None
