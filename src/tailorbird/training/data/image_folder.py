"""Folders of pictures, `train/CLASS` and `val/CLASS`, as timm reads them."""

import os
from pathlib import Path

from tailorbird.errors import ContractError, in_a_line
from tailorbird.training.data.pictures import TimmDataset

_VALIDATION = ("val", "validation", "valid", "eval")


def splits_of_folder(folder: Path) -> dict[str, TimmDataset]:
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
