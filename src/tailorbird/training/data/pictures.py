"""Pictures of a data set that timm opens: folders, and data sets that it knows by name."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tailorbird.errors import ContractError, in_a_line


class TimmDataset(Protocol):
    """What timm's `create_dataset` gives, if it can be read by number."""

    def __len__(self) -> int:
        """Number of pictures."""

    def __getitem__(self, number: int) -> Any:
        """Picture and class."""


class Pictures:
    """Pictures of one split, with their classes; all of them, or some.

    Args:
        dataset: of timm's, without transforms.
        name: of the split, for errors.
    """

    def __init__(self, dataset: TimmDataset, name: str) -> None:
        self.name = name
        self._dataset = dataset
        self._reader: Any = getattr(dataset, "reader", None)
        self.labels = np.array(self._targets(), dtype=np.int64)
        self._members = np.arange(len(self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, members: NDArray[Any], name: str) -> "Pictures":
        """Some of them, by their numbers, under another name."""
        some = object.__new__(Pictures)
        some.name, some._dataset, some._reader = name, self._dataset, self._reader
        some.labels, some._members = self.labels[members], self._members[members]
        return some

    def content(self, i: int) -> bytes:
        """Bytes that tell a picture from others: those of its file, if it has one."""
        opened = self._opened(i)
        if isinstance(opened, Image.Image):
            return opened.tobytes()
        with opened as file:
            return bytes(file.read())

    def decoded(self, i: int, mode: str) -> Image.Image:
        """A picture, in a mode of Pillow's.

        Raises:
            ContractError: naming it, if it is none.
        """
        try:
            opened = self._opened(i)
            if isinstance(opened, Image.Image):
                return opened.convert(mode)
            with opened as file, Image.open(file) as image:
                return image.convert(mode)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ContractError(
                f"Images must be ones that Pillow reads, but {self.file(i)!r} of {self.name} is "
                f"none ({in_a_line(error)}). Mend it, or take it out; a recipe with [accuracy] "
                "skip_unreadable = true leaves it out."
            ) from None

    def file(self, i: int) -> str:
        """Name of a picture: the path of its file below the folder, or its number."""
        member = int(self._members[i])
        if self._reader is None:
            return str(member)
        return str(self._reader.filename(member, absolute=False) or member)

    @cached_property
    def listing(self) -> str:
        """Digits that change with names and classes."""
        digest = hashlib.sha256(self.labels.tobytes())
        for i in range(len(self)):
            digest.update(self.file(i).encode(errors="surrogateescape") + b"\0")
        return digest.hexdigest()

    def state(self) -> str:
        """Digits that change with the listing, and with sizes and times of files."""
        digest = hashlib.sha256(self.listing.encode())
        if hasattr(self._reader, "samples"):
            for member in self._members.tolist():
                facts = Path(self._reader.filename(member, absolute=True)).stat()
                digest.update(f"{facts.st_size} {facts.st_mtime_ns} ".encode())
        return digest.hexdigest()

    def _opened(self, i: int) -> Any:
        """A picture, or a file of one."""
        source = self._dataset if self._reader is None else self._reader
        return source[int(self._members[i])][0]

    def _targets(self) -> Sequence[int]:
        """Classes of all pictures; without decoding any where timm or torchvision allow it."""
        reader = self._reader
        if hasattr(reader, "samples"):
            return [target for _, target in reader.samples]
        if hasattr(reader, "iter_targets"):
            return [*reader.iter_targets()]
        if hasattr(self._dataset, "targets"):
            return [int(target) for target in self._dataset.targets]
        return [int(self._dataset[i][1]) for i in range(len(self._dataset))]
