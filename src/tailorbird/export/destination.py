"""Places of the files of exported networks."""

import errno
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailorbird.errors import RecipeError
from tailorbird.export.about import About
from tailorbird.storage.atomic import refusal
from tailorbird.storage.marks import has_mark

SUFFIXES = {"safetensors": ".safetensors", "python": ".py", "onnx": ".onnx"}
"""Endings of files that any network can be written as, by format."""

LIBRARY = {"tvm": ".tvm.so", "tvm weights": ".tvm.safetensors"}
"""Endings of the files of a library that TVM compiled for one device."""

FORMATS = (*SUFFIXES, "tvm")


@dataclass(frozen=True, slots=True)
class Exported:
    """Paths of the files of one network; None of a format that was not asked for.

    Attributes:
        about: facts of the network.
        weights: safetensors, with all facts in their metadata.
        python: the network in plain torch, which reads these.
        onnx: the whole network, for any runtime that reads ONNX.
        library: compiled by TVM for one device; its weights lie beside it.
        card: Markdown on all of it.
    """

    about: About
    weights: Path | None
    python: Path | None
    onnx: Path | None
    library: Path | None
    card: Path | None

    @property
    def files(self) -> dict[str, Path]:
        """Paths by format, and that of the card."""
        paths = (self.weights, self.python, self.onnx, self.library, self.card)
        names = (*FORMATS, "card")
        return {name: path for name, path in zip(names, paths, strict=True) if path is not None}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where files of a network go.

    Attributes:
        files: by format.
        card: path of the card; None for none.
        unwanted: paths of formats that are not asked for, in a folder for nothing else; what was
            exported there before goes.
    """

    files: Mapping[str, Path]
    card: Path | None
    unwanted: tuple[Path, ...] = ()

    @classmethod
    def at(cls, to: Path, formats: tuple[str, ...]) -> "Destination":
        """Files at a stem, with a card beside them; or one file, if the path has its ending.

        Args:
            to: stem, or path of one file.
            formats: of files at a stem.

        Raises:
            RecipeError: if the path names no file.
        """
        if not to.name.strip(". "):
            raise RecipeError(f"The files need a name, but got {str(to)!r}. Add one to the path.")
        alone = [name for name, suffix in SUFFIXES.items() if to.suffix == suffix]
        if alone == ["python"]:  # which reads weights beside it
            return cls({"safetensors": to.with_suffix(".safetensors"), "python": to}, None)
        if alone:
            return cls({alone[0]: to}, None)
        return cls(_files(to, formats), to.with_name(f"{to.name}.md"))

    @classmethod
    def folder(cls, folder: Path, formats: tuple[str, ...]) -> "Destination":
        """Files in a folder of their own, whose card is `README.md`."""
        stem = folder / "network"
        files, every = _files(stem, formats), _files(stem, FORMATS)
        unwanted = tuple(path for form, path in every.items() if form not in files)
        return cls(files, folder / "README.md", unwanted)

    @property
    def is_one_file(self) -> bool:
        """True if the path of one file was named."""
        return self.card is None

    def check(self) -> None:
        """Refuses places that nobody may write to, and files there that nobody exported.

        Raises:
            RecipeError: if one is another's.
            WriteError: if nothing can be written there.
        """
        for path in self.paths:
            try:
                is_folder = stat.S_ISDIR(path.stat().st_mode)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:  # such as a name that is too long
                raise refusal(path, error) from None
            if is_folder:
                raise refusal(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
            if not is_exported(path):
                raise RecipeError(
                    f"{str(path)!r} is there, and is no file of an exported network. Name another "
                    "path with --to, or move it away."
                )
        try:
            with self.room():
                pass
        except OSError as error:
            raise refusal(self.paths[0], error) from None

    def room(self) -> "tempfile.TemporaryDirectory[str]":
        """Returns a folder to make the files in, in the nearest that is there above them.

        Raises:
            OSError: if nothing can be written there.
        """
        above = next(path for path in self.paths[0].absolute().parents if path.exists())
        return tempfile.TemporaryDirectory(prefix=".tailorbird.", dir=above)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Paths of all files."""
        return (*self.files.values(), *([self.card] if self.card else []))

    def exported(self, about: About) -> Exported:
        """The same by what each file is, of a network."""
        weights, python, onnx, library = map(self.files.get, FORMATS)
        return Exported(about, weights, python, onnx, library, self.card)


def require_formats(to: Path | None, formats: Sequence[str]) -> None:
    """Refuses formats that there are not, or that a path of one file contradicts.

    Args:
        to: stem of the files, or path of one; None if none was named.
        formats: that were asked for, if any.

    Raises:
        RecipeError: naming the first of them.
    """
    if unknown := sorted({*formats} - {*FORMATS}):
        raise RecipeError(f"Formats are {', '.join(FORMATS)}, but got {unknown[0]!r}.")
    if to is None:
        return
    one = Destination.at(to, FORMATS)  # refuses what is no path of files
    if one.is_one_file and formats and not {*formats} & {*one.files}:
        raise RecipeError(
            f"{str(to)!r} is a file of another format than {', '.join(formats)}: name a "
            "path without an ending, or leave out the formats."
        )


def _files(stem: Path, formats: tuple[str, ...]) -> dict[str, Path]:
    """Paths by format; those of a library are two."""
    # Python reads weights beside it.
    wanted = {*formats} | ({"safetensors"} if "python" in formats else set())
    suffixes = {name: suffix for name, suffix in SUFFIXES.items() if name in wanted}
    suffixes |= LIBRARY if "tvm" in formats else {}
    return {name: stem.with_name(stem.name + suffix) for name, suffix in suffixes.items()}


def is_exported(path: Path) -> bool:
    """True if a file was exported; a library has no mark, but what lies beside it has one.

    Weights of a library had none in earlier versions, but are beside it as well.
    """
    for suffix in LIBRARY.values():
        if path.name.endswith(suffix):
            stem = path.name.removesuffix(suffix)
            both = all(path.with_name(stem + end).is_file() for end in LIBRARY.values())
            beside = (LIBRARY["tvm weights"], *SUFFIXES.values())
            return both and any(has_mark(path.with_name(stem + end)) for end in beside)
    return has_mark(path)
