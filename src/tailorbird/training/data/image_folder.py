"""Folders of pictures, `train/CLASS` and `val/CLASS`, as timm reads them."""

import logging
import os
from pathlib import Path

from tailorbird.errors import ContractError, in_a_line
from tailorbird.training.data.pictures import TimmDataset

_LOG = logging.getLogger("tailorbird")
_VALIDATION = ("val", "validation", "valid", "eval")

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""What names of image files end in, in letters of either case."""


def splits_of_folder(folder: Path) -> dict[str, TimmDataset]:
    """Splits of a folder, by name.

    Raises:
        ContractError: if it has no such folders in it, or they are not folders of classes.
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
        _check_classes(folder / name)
        try:
            opened[split] = create_dataset(
                "", str(folder / name), search_split=False, input_key=";".join(ENDINGS)
            )
        except (RuntimeError, OSError) as error:
            raise ContractError(
                f"A split must hold images, but in {str(folder / name)!r} timm finds none "
                f"({in_a_line(error)}). Put a folder of images for each class there."
            ) from None
    return opened


def _check_classes(split: Path) -> None:
    """Refuses images that do not lie in a folder of a class, and classes without any.

    Raises:
        ContractError: naming one.
    """
    others = list[str]()
    for entry in sorted(os.scandir(split), key=lambda entry: entry.name):
        if not entry.is_dir():
            if entry.name.lower().endswith(ENDINGS):
                raise _misplaced(entry.path)
            continue
        files = [one for one in os.scandir(entry.path) if not one.name.startswith("._")]
        images = [one for one in files if one.name.lower().endswith(ENDINGS) and not one.is_dir()]
        if entry.name.startswith("."):
            if images:
                raise _misplaced(images[0].path)
            continue
        for one in files:
            if one.is_dir():
                _check_no_images(Path(one.path))
        if not images:
            raise ContractError(
                f"Every class must have images, but {entry.path!r} has none that end in one of "
                f"{', '.join(ENDINGS)}. Put some there, or remove the folder in every split."
            )
        others += [one.path for one in files if one not in images and not one.is_dir()]
    shown = [path for path in others if not Path(path).name.startswith(".")]
    if shown:
        _LOG.warning(
            "%d files in %s are no images by their endings, and are left out (first: %s).",
            *(len(shown), split, shown[0]),
        )


def _check_no_images(folder: Path) -> None:
    """Refuses images below a folder in the folder of a class.

    Raises:
        ContractError: naming one.
    """
    for path, _, files in os.walk(folder):
        for file in files:
            if file.lower().endswith(ENDINGS):
                raise _misplaced(str(Path(path, file)))


def _misplaced(path: str) -> ContractError:
    return ContractError(
        f"Images must lie in SPLIT/CLASS/FILE, so that it is clear what class they are of, but "
        f"{path!r} does not. Move it, or take it out."
    )
