"""Start of a recipe: what is asked for becomes its text, and modules of one's own to begin with."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tailorbird import recipe as recipes
from tailorbird.errors import RecipeError, shown
from tailorbird.pipeline.opening import space_of
from tailorbird.pipeline.starting.first_recipe import FirstRecipe, classes_in, with_classes
from tailorbird.pipeline.starting.own_modules import programs_module, space_module
from tailorbird.registry.python_paths import is_path
from tailorbird.storage import atomic

_IMAGES = {"digits": (1, 8), "cifar10-jpeg": (3, 32)}
_PICTURES = (3, 224)
"""Channels, and height and width of images: of data sets by name, and of other pictures."""


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
    device: str = "local"
    batch: int = 1

    def write(self) -> list[Path]:
        """Writes the recipe, and before it a module of one's own that is not there yet.

        Returns:
            Paths of what was written.

        Raises:
            RecipeError: if the recipe is there already, a name is none, or there is no such folder.
            WriteError: if a file cannot be written.
        """
        if self.file.exists():
            raise RecipeError(
                f"{str(self.file)!r} is there already: name another, or move it away."
            )
        accuracy, n_classes = self._accuracy()
        written = self._module(n_classes)
        key, value = self.space
        space = with_classes({key: value}, n_classes)
        device = self._device()
        asked = {"name": self._name, "space": space, "device": {"batch": self.batch}}
        networks = None
        if key != "programs":
            networks = space_of(recipes.load(asked)[0], self.file.parent)
        else:
            device.pop("batch", None)
        text = FirstRecipe(self._name, space, networks, device, accuracy).text()
        recipes.load(tomllib.loads(text))
        atomic.write(self.file, text)
        return [*written, self.file]

    @property
    def _name(self) -> str:
        """Name of the run: that of the file, as far as it may be one."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.file.stem).strip("-._") or "mine"

    def _device(self) -> dict[str, object]:
        if re.fullmatch(r"[\w.\-]+:\d+", self.device):
            return {"name": "board", "endpoint": self.device, "batch": self.batch}
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
        if not is_path(path):
            raise RecipeError(
                f"A function of your own is named as module:name, but got {shown(path)}."
            )
        module, _, function = path.partition(":")
        file = self.file.parent / f"{module.replace('.', '/')}.py"
        if file.exists() or file.with_suffix("").is_dir():
            return []
        channels, size = _IMAGES.get(self.data or "digits", _PICTURES)
        text = (
            programs_module(function)
            if key == "programs"
            else space_module(function, self._name, channels, size, n_classes or 10)
        )
        atomic.write(file, text)
        return [file]
