"""A command of a user's own, with places for the paths of files."""

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tailorbird.errors import DeviceError, shown

_PLACES = ("onnx", "inputs", "outputs")
_PLACE = re.compile("{(" + "|".join(_PLACES) + ")}")
_BRACES = re.compile(r"\{[^{}]*\}|[{}]")


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Words that start a program without a shell.

    Attributes:
        text: as the user wrote it.
        words: the program, and what it is given; `{onnx}` stands for the path of an ONNX file,
            `{inputs}` and `{outputs}` for those of folders.
    """

    text: str
    words: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Splits a text into words, as a shell does.

        Raises:
            DeviceError: if it cannot be split, or has other places than it must.
        """
        try:
            words = tuple(shlex.split(text))
        except ValueError as error:
            raise DeviceError(
                f"A command must be words as a shell splits them, but {shown(text)} cannot be "
                f"split ({error}). Close its quotes."
            ) from None
        if unknown := _BRACES.search(_PLACE.sub("", text)):
            raise DeviceError(
                "Braces of a command must be {onnx}, {inputs} or {outputs}, but got "
                f"{shown(unknown[0])}. Write others into a script that the command starts."
            )
        places = {name for word in words for name in _PLACE.findall(word)}
        if "onnx" not in places:
            raise DeviceError(
                "A command must be given the program that it times: write {onnx} where the path "
                f"of the ONNX file belongs, but got {shown(text)}."
            )
        if len(places) == len(_PLACES) - 1:
            (missing,) = set(_PLACES) - places
            raise DeviceError(
                "A command has both {inputs} and {outputs}, which are compared with torch, or "
                f"neither, but {shown(text)} lacks {{{missing}}}. Add it, or drop the other one."
            )
        return cls(text, words)

    @property
    def gives_outputs(self) -> bool:
        """True if it is told where to write what programs compute."""
        return any("{outputs}" in word for word in self.words)

    def filled(self, paths: Mapping[str, Path]) -> list[str]:
        """Returns the words with the path of each place."""
        return [_PLACE.sub(lambda place: str(paths[place[1]]), word) for word in self.words]

    def program(self, folder: Path) -> Path:
        """Finds the program: in a folder, or else where the system looks.

        Raises:
            DeviceError: if there is none, or it may not be executed.
        """
        name = self.words[0]
        here = Path(os.path.abspath(folder / name))  # noqa: PTH100  # links stay: they may tell it what to be
        if os.access(here, os.X_OK) and not here.is_dir():
            return here
        found = None if "/" in name else shutil.which(name)
        if found is not None:
            return Path(os.path.abspath(found))  # noqa: PTH100  # likewise
        if os.path.lexists(here):
            raise DeviceError(
                f"The program of a command must be executable, but {str(here)!r} is not. Write "
                "`chmod +x`, or name what runs it."
            )
        also = "" if "/" in name else ", and none of that name where the system looks"
        raise DeviceError(f"There is no program {str(here)!r}{also}. Name one that is there.")

    def checksum(self, folder: Path) -> str | None:
        """Returns the SHA-256 of the script: the first file of the folder that the words name.

        If they name none in the folder, it is the first file that they name by a path; None if
        there is no such file either.

        Raises:
            DeviceError: if it cannot be read.
        """
        home = folder.resolve()
        files = [path for word in self.words if os.path.isfile(path := folder / word)]  # noqa: PTH113  # false for any text
        own = [path for path in files if path.resolve().is_relative_to(home)]
        for path in (own or files)[:1]:
            try:
                return hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise DeviceError(
                    f"The script {str(path)!r} of a command cannot be read ({error.strerror})."
                ) from None
        return None
