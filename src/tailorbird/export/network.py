"""Networks as files: weights, plain Python, ONNX and a card, which need no search or tables."""

import errno
import json
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import RecipeError, WeightsError, require
from tailorbird.export.about import About
from tailorbird.export.card import card
from tailorbird.spaces import SearchSpace
from tailorbird.storage import tensors
from tailorbird.storage.atomic import refusal, written
from tailorbird.storage.marks import MARK, has_mark, mark_of, torn

if TYPE_CHECKING:
    from torch import Tensor, nn

_LOG = logging.getLogger("tailorbird")

SUFFIXES = {"safetensors": ".safetensors", "python": ".py", "onnx": ".onnx"}
"""Endings of files that any network can be written as, by format."""

LIBRARY = {"tvm": ".tvm.so", "tvm weights": ".tvm.safetensors"}
"""Endings of the files of a library that TVM compiled for one device."""

FORMATS = (*SUFFIXES, "tvm")

Compare = Callable[[Mapping[str, Path], int | None], Mapping[str, float]]
"""Relative errors of files by format, given their paths, and how many images they take at a time,
None if any number; raises if an error is too large."""


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
            if not _is_ours(path):
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


def save(
    network: "nn.Module",
    about: About,
    destination: Destination,
    compare: Compare = lambda files, fixed_batch: {},
    library: tuple[Path, Path] | None = None,
) -> Exported:
    """Writes a network in evaluation mode: all files, or none.

    The same network gives the same bytes. Files say how pictures become inputs, if that is known.

    Args:
        network: that is written.
        about: facts of it.
        destination: of its files.
        compare: looks at the files before they take their places.
        library: that TVM compiled, and its weights; copied if its format is asked for.

    Raises:
        RecipeError: if what writes ONNX is not installed, or a text stands there that is not ours.
        WriteError: if a file cannot be written.
        ExportError: if the network cannot be written in a format.
    """
    require("torch")
    from safetensors.torch import load_file

    from tailorbird.export.program import programmed  # loads torch

    destination.check()
    state = network.state_dict()
    texts = sorted(about.metadata.items())
    mark = mark_of((str(texts), str(about.takes_pixels), *_content(state)))
    bear_marks = [path for form, path in destination.files.items() if form != "tvm"]
    if reason := torn([path for path in bear_marks if path.exists()]):
        _LOG.warning("The network is torn (%s): it is written again.", reason)
    first = destination.paths[0]
    with destination.room() as made_in:
        made = {f: Path(made_in) / path.name for f, path in destination.files.items()}
        program = programmed(network, about.space.input_shape)
        try:
            program.write(made, about, mark)
            if library is not None and "tvm" in made:
                shutil.copyfile(library[0], made["tvm"])
                tensors.fill(made["tvm weights"], load_file(library[1]), {MARK: mark})
        except OSError as error:
            raise refusal(first, error) from None
        errors = compare(made, program.fixed_batch)
        names = {f: path.name for f, path in destination.files.items()}
        text = card(about, names, errors, mark, program.n_classes, program.fixed_batch)
        with written(*destination.paths) as parts:
            for path, part in zip(made.values(), parts, strict=False):
                shutil.copyfile(path, part)
            if destination.card is not None:
                parts[-1].write_text(text, encoding="utf-8")
        for path in [*filter(_is_ours, destination.unwanted)]:
            path.unlink()
    return destination.exported(about)


def _files(stem: Path, formats: tuple[str, ...]) -> dict[str, Path]:
    """Paths by format; those of a library are two."""
    # Python reads weights beside it.
    wanted = {*formats} | ({"safetensors"} if "python" in formats else set())
    suffixes = {name: suffix for name, suffix in SUFFIXES.items() if name in wanted}
    suffixes |= LIBRARY if "tvm" in formats else {}
    return {name: stem.with_name(stem.name + suffix) for name, suffix in suffixes.items()}


def _is_ours(path: Path) -> bool:
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


def _content(state: "Mapping[str, Tensor]") -> Iterator[str | bytes]:
    import torch

    for name, tensor in state.items():
        yield name
        yield tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def load(path: Path, space: SearchSpace) -> "nn.Module":
    """Reads a network that `save` wrote, in evaluation mode.

    Args:
        path: of its safetensors.
        space: that it is of, as `spaces.get` gives it, or one's own.

    Raises:
        WeightsError: if the file cannot be read, or is of another space.
    """
    require("torch")
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"The network in {str(path)!r} cannot be read: {error}.") from None
    if metadata.get("space") != space.name:
        raise WeightsError(
            f"The network in {str(path)!r} is of {metadata.get('space')}, not of {space.name}. "
            "Load it with that space."
        )
    network = space.build(np.array(json.loads(metadata["encoding"]), dtype=np.int64)).eval()
    own = network.state_dict().keys()
    constants = json.loads(metadata.get("constants", "[]"))  # which modules make themselves
    network.load_state_dict({n: t for n, t in state.items() if n in own or n not in constants})
    return network
