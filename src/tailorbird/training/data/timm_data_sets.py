"""Data sets that timm knows by name, as they lie on this machine."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tailorbird.errors import ContractError, MissingPackageError, in_a_line, shown
from tailorbird.training.data.pictures import TimmDataset

_STREAMS = ("wds", "tfds", "hfids")
_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
_YES = ("1", "on", "yes", "true")


def splits_of_name(name: str, root: Path | None, *, download: bool) -> dict[str, TimmDataset]:
    """Splits of a data set that timm knows by name.

    Args:
        name: such as `torch/cifar10`.
        root: its folder; its own default if None.
        download: whether it may be fetched.

    Raises:
        ContractError: if it is not there, or can only be read in one order.
        MissingPackageError: if what reads it is not installed.
    """
    prefix = name.partition("/")[0].lower()
    if prefix in _STREAMS:
        raise ContractError(
            f"Images must be read by their numbers, so that interrupted training goes on to the "
            f"same weights, but {name!r} is a stream. Unpack it into a folder with "
            "train/CLASS/* and val/CLASS/*, or name hfds/... or torch/...."
        )
    opened = {"train": _opened(name, root, "train", download)}
    failed: ContractError | None = None
    for split in ("validation", "test"):
        if prefix == "torch" and split == "test":
            continue  # timm gives what torchvision calls the test split as its validation split
        try:
            opened[split] = _opened(name, root, split, download)
        except ContractError as error:
            failed = failed or error
    if "validation" not in opened:
        if "test" not in opened and failed is not None:
            raise failed
        opened["validation"] = opened.pop("test")
    return opened


def _opened(name: str, root: Path | None, split: str, download: bool) -> TimmDataset:
    from timm.data.dataset_factory import create_dataset

    try:
        with _offline(not download):
            dataset: TimmDataset = create_dataset(
                name, None if root is None else str(root), split, download=download
            )
    except ImportError as error:
        raise MissingPackageError(
            f"{name} is read by a package that is not installed ({in_a_line(error)})."
        ) from None
    except KeyboardInterrupt:
        raise
    except Exception as error:  # noqa: BLE001  # whatever torchvision and datasets raise
        raise ContractError(
            f"{shown(name)} must be on this machine, but its {split} split cannot be opened "
            f"({in_a_line(error)}). Name its folder in data_root, or let it be fetched with "
            "download = true."
        ) from None
    return dataset


@contextmanager
def _offline(is_wanted: bool) -> Iterator[None]:
    """Keeps Hugging Face's packages from the network inside, if that is wanted.

    They read their variables once, when they are imported, so what they remember is set as well.
    """
    if not is_wanted:
        yield
        return
    before = {name: os.environ.get(name) for name in _OFFLINE}
    os.environ |= dict.fromkeys(_OFFLINE, "1")
    _remember(dict.fromkeys(_OFFLINE, True))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _remember({name: (value or "").lower() in _YES for name, value in before.items()})


def _remember(values: Mapping[str, bool]) -> None:
    """Sets what Hugging Face's packages remember of variables, where they were imported."""
    for module in ("huggingface_hub.constants", "datasets.config"):
        for name, value in values.items():
            if hasattr(sys.modules.get(module), name):
                setattr(sys.modules[module], name, value)
