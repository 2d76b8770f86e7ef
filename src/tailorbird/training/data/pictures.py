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

_SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")


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

    Attributes:
        whole: all pictures of the split.
        members: numbers of these among them, (n,).
        unreadable: numbers of those that cannot be read; None before they were looked at.
    """

    def __init__(self, dataset: TimmDataset, name: str) -> None:
        self.name = name
        self._dataset = dataset
        self._reader: Any = getattr(dataset, "reader", None)
        self.labels = np.array(self._targets(), dtype=np.int64)
        self.whole = self
        self.unreadable: set[int] | None = None
        self.members: NDArray[np.int64] = np.arange(len(self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, members: NDArray[Any], name: str) -> "Pictures":
        """Some of them, by their numbers, under another name."""
        some = object.__new__(Pictures)
        some.name, some._dataset, some._reader = name, self._dataset, self._reader
        some.labels, some.members = self.labels[members], self.members[members]
        some.whole, some.unreadable = self.whole, None
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
            ContractError: naming it, if it is none; its cause is what Pillow or the system raised.
        """
        try:
            opened = self._opened(i)
            if isinstance(opened, Image.Image):
                return _in_eight_bits(opened).convert(mode)
            with opened as file, Image.open(file) as image:
                return _in_eight_bits(image).convert(mode)
        except Exception as error:  # Pillow raises many kinds of them
            raise ContractError(
                f"Images must be ones that Pillow reads, but {self.file(i)!r} of {self.name} is "
                f"none ({in_a_line(error)}). Mend it, or take it out; a recipe with [accuracy] "
                "skip_unreadable = true leaves it out."
            ) from error

    def file(self, i: int) -> str:
        """Name of a picture: the path of its file below the folder, or its number."""
        member = int(self.members[i])
        if self._reader is None:
            return str(self._path(member) or member)
        return str(self._reader.filename(member, absolute=False) or member)

    @cached_property
    def listing(self) -> str:
        """Digits that change with names, classes and sizes of files."""
        digest = hashlib.sha256(self.labels.tobytes())
        for i, member in enumerate(self.members.tolist()):
            size, _ = self._facts(member)
            digest.update(self.file(i).encode(errors="surrogateescape") + f"\0{size}\0".encode())
        return digest.hexdigest()

    def state(self) -> str | None:
        """Digits that change whenever a picture may have; None if nobody can tell."""
        digest = hashlib.sha256(self.name.encode())
        told = getattr(getattr(self._reader, "dataset", None), "_fingerprint", None)
        for member in self.members.tolist():
            path = self._path(member)
            if path is None and told is None:
                return None
            facts = f"{told} {path} {self._facts(member)}\0"
            digest.update(facts.encode(errors="backslashreplace"))
        return digest.hexdigest()

    def _facts(self, member: int) -> tuple[int, int]:
        """Size and time of the file of a picture; zeros if there is none."""
        path = self._path(member)
        try:
            facts = None if path is None else path.stat()
        except OSError:  # of a link to nowhere: reading it tells
            facts = None
        return (0, 0) if facts is None else (facts.st_size, facts.st_mtime_ns)

    def _path(self, member: int) -> Path | None:
        """Path of the file of a picture, if it has one."""
        if hasattr(self._reader, "samples"):
            return Path(self._reader.filename(member, absolute=True))
        samples = getattr(self._dataset, "samples", None)  # of torchvision's folders
        return None if samples is None else Path(samples[member][0])

    def _opened(self, i: int) -> Any:
        """A picture, or a file of one."""
        source = self._dataset if self._reader is None else self._reader
        return source[int(self.members[i])][0]

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


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """A picture whose grey values are above 255 with values up to that; others as they are."""
    if image.mode not in _SIXTEEN_BITS:
        return image
    return Image.fromarray((np.asarray(image).clip(0, 65_535) // 257).astype(np.uint8))
