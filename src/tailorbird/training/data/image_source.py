"""Data sets of pictures: where they are, and how they become images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import ContractError, MissingPackageError
from tailorbird.registry.data_sets import is_of_timm
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.training.data.dataset import SPLITS, Dataset
from tailorbird.training.data.decoded import DecodedImages
from tailorbird.training.data.image_folder import splits_of_folder
from tailorbird.training.data.picture_transforms import Augmentation, transforms_of
from tailorbird.training.data.pictures import Pictures
from tailorbird.training.data.timm_data_sets import splits_of_name
from tailorbird.training.data.unreadable import readable


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
    is_named = is_of_timm(source.name)
    opened = (
        splits_of_name(source.name, source.root, download=source.download)
        if is_named
        else splits_of_folder(Path(source.name))
    )
    classes = {split: _classes_of(dataset) for split, dataset in opened.items()}
    for split, names in classes.items():
        _check_classes(source.name, split, names, classes["train"])
    pictures = {split: Pictures(dataset, split) for split, dataset in opened.items()}
    if source.skip_unreadable:
        pictures = {split: readable(some) for split, some in pictures.items()}
    if "test" in pictures and (pictures["test"].labels < 0).any():  # which are kept secret
        del pictures["test"]
    if "test" in pictures and source.split_seed:
        raise ContractError(
            f"split_seed halves validation images, but {source.name!r} has test images as well, so "
            "that there is nothing to halve. Drop it."
        )
    if "test" not in pictures:
        pictures |= _halved(pictures["validation"], source.split_seed)
    train, validation, test = (
        DecodedImages(pictures[split], source.preprocessing, source.augmentation)
        for split in SPLITS
    )
    name = source.name if is_named else Path(source.name).resolve().name
    n_classes = max(2, len(classes["train"]), 1 + int(train.labels.max()))
    numbered = {number: str(label) for label, number in classes["train"].items()}
    known = len(numbered) == n_classes
    class_names = tuple(numbered[number] for number in range(n_classes)) if known else ()
    return Dataset(
        name,
        n_classes,
        train,
        validation,
        test,
        preprocessing=source.preprocessing,
        class_names=class_names,
    )


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
