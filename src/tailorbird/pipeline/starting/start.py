"""Start of a recipe: what is asked for becomes its text, and modules of one's own to begin with."""

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tailorbird import recipe as recipes
from tailorbird.errors import RecipeError, nearest, require, shown
from tailorbird.latency_tables.devices.device import HERE
from tailorbird.latency_tables.shipped import shipped_tables
from tailorbird.pipeline.opening import space_of
from tailorbird.pipeline.starting.first_recipe import FirstRecipe, classes_in, with_classes
from tailorbird.pipeline.starting.own_modules import programs_module, space_module
from tailorbird.registry.python_paths import is_path
from tailorbird.spaces.shared import HasPieces
from tailorbird.storage import atomic

_IMAGES = {"digits": (1, 8), "cifar10-jpeg": (3, 32)}
_PICTURES = (3, 224)
"""Channels, and height and width of images: of data sets by name, and of other pictures."""
_ADDRESS = re.compile(r"[\w.\-]+:\d+")
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants a recipe for.

    Attributes:
        file: path of the recipe.
        space: key of [space] and its value: a `name`, or the Python path of a `module` or of
            `programs`.
        data: name, folder or Python path of images; None for those that a recipe has by default.
        device: `local`, an address of a server, or a device whose table is there.
        batch: images of which every latency is.
    """

    file: Path
    space: tuple[str, str]
    data: str | None = None
    device: str = HERE
    batch: int = 1

    def write(self) -> list[Path]:
        """Writes the recipe, and before it a module of one's own that is not there yet.

        Returns:
            Paths of what was written.

        Raises:
            RecipeError: if the recipe is there already, or a name, folder or device is none; then
                nothing is written.
            WriteError: if a file cannot be written.
        """
        if self.file.exists():
            raise RecipeError(
                f"{str(self.file)!r} is there already: name another, or move it away."
            )
        device = self._device()
        accuracy, n_classes = self._accuracy()
        written = self._module(n_classes)
        try:
            atomic.write(self.file, self._text(device, accuracy, n_classes))
            written.append(self.file)
            recipes.load(self.file)
        except BaseException:
            for path in written:
                path.unlink()
            raise
        return written

    def _text(
        self, device: dict[str, object], accuracy: Mapping[str, object], n_classes: int | None
    ) -> str:
        key, value = self.space
        space = with_classes({key: value}, n_classes)
        if key == "programs":
            del device["batch"]
            return FirstRecipe(self._name, space, None, device).text()
        asked = {"name": self._name, "space": space, "device": {"batch": self.batch}}
        networks = space_of(recipes.load(asked)[0], self.file.parent)
        if accuracy and not isinstance(networks, HasPieces):
            raise RecipeError(
                f"Images are for networks that are trained here, which those of {networks.name} "
                "are not: leave out --data, and give accuracies in the recipe."
            )
        return FirstRecipe(self._name, space, networks, device, accuracy).text()

    @property
    def _name(self) -> str:
        """Name of the run: that of the file, as far as it may be one."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.file.stem).strip("-._")
        return name[:_LONGEST_NAME] or "mine"

    def _device(self) -> dict[str, object]:
        if _ADDRESS.fullmatch(self.device):
            return {"name": "board", "endpoint": self.device, "batch": self.batch}
        known = {HERE, *(table.device for table in shipped_tables())}
        if self.device not in known and not (self.file.parent / self.device).is_file():
            raise RecipeError(
                f"There is no device named {shown(self.device)}, and no exported table of that "
                f"path; {nearest(self.device, known)}"
            )
        return {"name": self.device, "batch": self.batch}

    def _accuracy(self) -> tuple[Mapping[str, object], int | None]:
        """What [accuracy] says of the images, and how many classes they have, if that is known."""
        if self.data is None or self.space[0] == "programs":
            return {}, None
        if is_path(self.data):
            return {"module": self.data}, None
        return {"data": self.data}, classes_in(self.data, self.file.parent)

    def _module(self, n_classes: int | None) -> list[Path]:
        """Writes the module that the recipe names, unless it is there; returns its path."""
        key, path = self.space
        if key == "name":
            return []
        module, _, function = path.partition(":")
        if not is_path(path) or any(map(keyword.iskeyword, (*module.split("."), function))):
            raise RecipeError(
                f"A function of your own is named as module:name, but got {shown(path)}."
            )
        require("torch")
        file = self.file.parent / f"{module.replace('.', '/')}.py"
        if file.exists() or file.with_suffix("").is_dir():
            return []
        _refuse_installed(module, self.file.parent)
        channels, size = _IMAGES.get(self.data or "digits", _PICTURES)
        text = (
            programs_module(function)
            if key == "programs"
            else space_module(function, self._name, channels, size, n_classes or 10)
        )
        atomic.write(file, text)
        return [file]


def _refuse_installed(module: str, home: Path) -> None:
    """Refuses the name of a module that Python finds elsewhere, which a new file would hide.

    Raises:
        RecipeError: if so.
    """
    top = module.partition(".")[0]
    if not (home / top).is_dir() and find_spec(top) is not None:
        raise RecipeError(
            f"A module to begin with needs a name of its own, but Python finds {shown(top)} "
            "elsewhere. Name another; or write the recipe by hand, if that one is yours."
        )
