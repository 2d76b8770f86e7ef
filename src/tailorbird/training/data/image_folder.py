"""Data sets of pictures: a folder with `train/CLASS` and `val/CLASS`, or a name that timm knows."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import ContractError, MissingPackageError, in_a_line, shown
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.training.data.dataset import SPLITS, Dataset
from tailorbird.training.data.decoded import DecodedImages
from tailorbird.training.data.picture_transforms import Augmentation, transforms_of
from tailorbird.training.data.pictures import Pictures, TimmDataset
from tailorbird.training.data.unreadable import readable

_VALIDATION = ("val", "validation", "valid", "eval")
_BY_NUMBER = ("torch", "hfds")
_STREAMS = ("wds", "tfds", "hfids")
PREFIXES = (*_BY_NUMBER, *_STREAMS)
"""What names of data sets that timm knows begin with, before a slash."""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Where pictures are, and how they become images.

    Attributes:
        name: path of a folder, or a name that timm knows, such as `torch/cifar10`.
        preprocessing: how each picture becomes an image.
        augmentation: random changes of those that networks learn from.
        root: folder of a data set that timm knows by name; its own default if None.
        download: whether that may be fetched.
        split_seed: halves the validation images, where there are no test images, into those that a
            search sees and those that reports use.
        skip_unreadable: whether pictures that cannot be read are left out, or refused.
    """

    name: str
    preprocessing: Preprocessing
    augmentation: Augmentation = field(default_factory=Augmentation)
    root: Path | None = None
    download: bool = False
    split_seed: int = 0
    skip_unreadable: bool = False


def load(source: ImageSource) -> Dataset:
    """Opens a data set of pictures; none of them is decoded before it is read.

    Raises:
        ContractError: if there is none, a class has no images, or splits differ in classes.
        MissingPackageError: if timm, or what it reads such a data set by, is not installed.
    """
    _check_timm()
    transforms_of(source.preprocessing, source.augmentation)  # before pictures are looked for
    prefix, _, _ = source.name.partition("/")
    opened = _named(source) if prefix in PREFIXES else _of_folder(Path(source.name))
    classes = {split: _classes_of(dataset) for split, dataset in opened.items()}
    for split, names in classes.items():
        _check_classes(source.name, split, names, classes["train"])
    pictures = {split: Pictures(dataset, split) for split, dataset in opened.items()}
    if source.skip_unreadable:
        pictures = {split: readable(some) for split, some in pictures.items()}
    if "test" not in pictures:
        pictures |= _halved(pictures["validation"], source.split_seed)
    train, validation, test = (
        DecodedImages(pictures[split], source.preprocessing, source.augmentation)
        for split in SPLITS
    )
    name = source.name if prefix in PREFIXES else Path(source.name).resolve().name
    n_classes = max(2, len(classes["train"]), 1 + int(train.labels.max()))
    return Dataset(name, n_classes, train, validation, test, preprocessing=source.preprocessing)


def _of_folder(folder: Path) -> dict[str, TimmDataset]:
    """Splits of a folder, by name.

    Raises:
        ContractError: if it has no such folders in it, or none of their images.
    """
    from timm.data.dataset_factory import create_dataset

    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
    validation = next((name for name in _VALIDATION if name in found), None)
    if "train" not in found or validation is None:
        there = ", ".join(sorted(found)[:8]) if found else "nothing"
        raise ContractError(
            f"A folder of images must hold train/CLASS/* and val/CLASS/*, but {str(folder)!r} "
            f"{'holds ' + there if folder.is_dir() else 'is no folder'}. Put a folder of images "
            "for each class there."
        )
    places = {"train": "train", "validation": validation, "test": "test"}
    opened = dict[str, TimmDataset]()
    for split, name in places.items():
        if name not in found:
            continue
        _check_no_class_is_empty(folder / name)
        try:
            opened[split] = create_dataset("", str(folder / name), search_split=False)
        except (RuntimeError, OSError) as error:
            raise ContractError(
                f"A split must hold images, but in {str(folder / name)!r} timm finds none "
                f"({in_a_line(error)}). Put a folder of images for each class there."
            ) from None
    return opened


def _check_no_class_is_empty(folder: Path) -> None:
    """Refuses folders of classes that hold no images.

    Raises:
        ContractError: naming one.
    """
    from timm.data.readers.img_extensions import get_img_extensions

    endings = tuple(get_img_extensions())  # type: ignore[no-untyped-call]  # timm leaves it so
    for path, below, files in os.walk(folder, followlinks=True):
        below[:] = [name for name in below if not name.startswith(".")]
        is_class = not below and path != str(folder)
        if is_class and not any(file.lower().endswith(endings) for file in files):
            raise ContractError(
                f"Every class must have images, but {path!r} has none that end in one of "
                f"{', '.join(endings)}. Put some there, or remove the folder in every split."
            )


def _named(source: ImageSource) -> dict[str, TimmDataset]:
    """Splits of a data set that timm knows by name.

    Raises:
        ContractError: if it is not there, or can only be read in one order.
        MissingPackageError: if what reads it is not installed.
    """
    prefix, _, _ = source.name.partition("/")
    if prefix in _STREAMS:
        raise ContractError(
            f"Images must be read by their numbers, so that interrupted training goes on to the "
            f"same weights, but {source.name!r} is a stream. Unpack it into a folder with "
            "train/CLASS/* and val/CLASS/*, or name hfds/... or torch/...."
        )
    opened = {"train": _opened(source, "train")}
    failed: ContractError | None = None
    for split in ("validation", "test"):
        if prefix == "torch" and split == "test":
            continue  # timm gives what torchvision calls the test split as its validation split
        try:
            opened[split] = _opened(source, split)
        except ContractError as error:
            failed = failed or error
    if "validation" not in opened:
        if "test" not in opened and failed is not None:
            raise failed
        opened["validation"] = opened.pop("test")
    return opened


def _opened(source: ImageSource, split: str) -> TimmDataset:
    from timm.data.dataset_factory import create_dataset

    try:
        with _offline(not source.download):
            dataset: TimmDataset = create_dataset(
                source.name,
                None if source.root is None else str(source.root),
                split,
                download=source.download,
            )
    except ImportError as error:
        raise MissingPackageError(
            f"{source.name} is read by a package that is not installed ({in_a_line(error)})."
        ) from None
    except KeyboardInterrupt:
        raise
    except Exception as error:  # noqa: BLE001  # whatever torchvision and datasets raise
        raise ContractError(
            f"{shown(source.name)} must be on this machine, but its {split} split cannot be opened "
            f"({in_a_line(error)}). Name its folder in data_root, or let it be fetched with "
            "download = true."
        ) from None
    return dataset


@contextmanager
def _offline(is_wanted: bool) -> Iterator[None]:
    """Keeps Hugging Face's packages from the network inside, if that is wanted."""
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
    before = {name: os.environ.get(name) for name in names}
    if is_wanted:
        os.environ |= dict.fromkeys(names, "1")
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _classes_of(dataset: Any) -> Mapping[str, int]:
    """Numbers of classes by name; empty if nobody says."""
    classes = getattr(getattr(dataset, "reader", dataset), "class_to_idx", None)
    return classes if isinstance(classes, Mapping) else {}


def _check_classes(
    name: str, split: str, classes: Mapping[str, int], wanted: Mapping[str, int]
) -> None:
    """Refuses a split with other classes than the training split.

    Raises:
        ContractError: naming some.
    """
    if classes == wanted:
        return
    parts = [
        f"{', '.join(map(repr, sorted(some)[:4]))}{', ...' * (len(some) > 4)} {where} alone"
        for some, where in (
            (wanted.keys() - classes.keys(), "in train"),
            (classes.keys() - wanted.keys(), f"in {split}"),
        )
        if some
    ]
    raise ContractError(
        f"All splits must have the same classes, but in {name!r} there are {' and '.join(parts)}."
    )


def _halved(validation: Pictures, seed: int) -> dict[str, Pictures]:
    """Two halves of validation pictures, with as many of each class, and one more at most.

    Raises:
        ContractError: if there is one picture only.
    """
    n = len(validation)
    if n < 2:
        raise ContractError(
            "Without a test split the validation images are halved, but there is one only."
        )
    order = np.random.default_rng(seed).permutation(n)
    order = order[np.argsort(validation.labels[order], kind="stable")]
    halves: list[NDArray[np.int64]] = [np.sort(order[k::2]) for k in range(2)]
    names = ("validation", "test")
    return {name: validation.chosen(half, name) for name, half in zip(names, halves, strict=True)}


def _check_timm() -> None:
    try:
        import timm.data  # noqa: F401  # is it there?
        import torchvision  # noqa: F401  # likewise
    except ImportError as error:
        raise MissingPackageError(
            f"Images are read by timm and torchvision, which are not installed ({error}). "
            "Install them with `pip install 'tailorbird[images]'`."
        ) from None
