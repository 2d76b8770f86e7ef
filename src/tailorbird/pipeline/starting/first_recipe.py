"""Text of a first recipe, with the meaning of each key beside it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap

from tailorbird.errors import RecipeError, shown
from tailorbird.pipeline.recipe_reference import TABLES, in_toml, keys_of, meanings_of, settings_of
from tailorbird.recipe.space import SpaceSection
from tailorbird.registry.data_sets import is_of_pictures, is_of_timm
from tailorbird.spaces import SearchSpace
from tailorbird.spaces.registry import SPACES
from tailorbird.spaces.shared import HasPieces
from tailorbird.spaces.stitching import StitchSpace

_COLUMN, _WIDTH = 33, 110  # where meanings begin and end
_LONGEST = 60  # setting that has its meaning beside it
_TO_SHOW = {
    "[device]": ("name", "batch", "threads"),
    "[latency]": ("runtime", "rounds"),
    "[search]": ("algorithm", "objectives", "devices", "max_latency_ms"),
    "[report]": ("networks", "random_networks"),
}
_OF_STITCHES = ("train_epochs", "stitch_epochs")
_OF_SUPERNETS = ("supernet_epochs", "rule", "largest")
_OF_OTHERS = ("function", "table")
_EXAMPLES = {
    "data": '"./images"',
    "function": '"my_accuracies:accuracy"',
    "table": '"accuracies.csv"',
    "train_epochs": "30",
    "rule": '"single-path"',
    "largest": '"largest.safetensors"',
    "devices": '["epyc-avx512"]',
    "max_latency_ms": "8.0",
}
"""Values of keys that have no default which could be written."""


@dataclass(frozen=True, slots=True)
class FirstRecipe:
    """What a recipe begins with.

    Attributes:
        name: of the run.
        space: what [space] says of the networks: `name`, `module` or `programs`, and settings.
        networks: that this gives; None for programs.
        device: what [device] says.
        accuracy: what [accuracy] says.
    """

    name: str
    space: Mapping[str, object]
    networks: SearchSpace | None
    device: Mapping[str, object] = field(default_factory=dict)
    accuracy: Mapping[str, object] = field(default_factory=dict)

    def text(self) -> str:
        """Writes it as TOML, in which keys that are not stated are comments."""
        parts = [
            [
                "# `tailorbird check` says what this measures, trains and evaluates, and for how",
                "# long; `tailorbird run` does it. Keys behind a # have these values or none.",
                f"name = {in_toml(self.name)}",
            ],
            ["[space]", *self._space()],
            ["[device]", *self._keys("[device]", _TO_SHOW["[device]"], self.device)],
        ]
        parts.append(["[latency]", *self._keys("[latency]", _TO_SHOW["[latency]"])])
        if self.networks is not None:
            parts += [["[accuracy]", *self._keys("[accuracy]", self._learned, self.accuracy)]]
            parts += self._anchors()
            for title in ("[search]", "[report]"):
                parts.append([title, *self._keys(title, _TO_SHOW[title])])
        return "\n\n".join("\n".join(lines) for lines in parts) + "\n"

    @property
    def _learned(self) -> tuple[str, ...]:
        """Keys of [accuracy] that go with the networks."""
        if isinstance(self.networks, StitchSpace):
            kinds = _OF_STITCHES
        elif isinstance(self.networks, HasPieces):
            kinds = _OF_SUPERNETS
        else:
            return (*_OF_OTHERS, "evaluations")
        return ("data", *kinds, "evaluations")

    def _space(self) -> Iterator[str]:
        meanings = meanings_of(SpaceSection)
        for key, value in self.space.items():
            yield _line(f"{key} = {in_toml(value)}", meanings.get(key, ""))
        if (name := self.space.get("name")) is not None:
            for setting in settings_of(str(name)):
                if setting.name not in self.space and setting.default:
                    yield _line(f"# {setting.name} = {setting.default}", setting.meaning)

    def _keys(
        self, title: str, names: tuple[str, ...], stated: Mapping[str, object] | None = None
    ) -> Iterator[str]:
        known, stated = {key.name: key for key in keys_of(TABLES[title])}, stated or {}
        for name in dict.fromkeys((*stated, *names)):
            meaning = known[name].meaning.rstrip(".")
            if name in stated:
                yield _line(f"{name} = {in_toml(stated[name])}", meaning)
            else:
                value = _EXAMPLES.get(name) or known[name].default
                yield _line(f"# {name} = {value}", meaning)

    def _anchors(self) -> Iterator[list[str]]:
        """Files that anchors may start with, for families that have published ones."""
        if isinstance(self.networks, StitchSpace) and hasattr(self.networks.family, "place"):
            names = self.networks.family.anchors
            files = [f'# {name} = "{name}.safetensors"' for name in names]
            meaning = "files of weights that anchors start with, if you have some"
            yield [_line("# [accuracy.anchors]", meaning), *files]


def _line(setting: str, meaning: str) -> str:
    if not meaning:
        return setting
    if len(setting) > _LONGEST:
        return "\n".join(
            [*(f"# {line}" for line in wrap(meaning.rstrip("."), _WIDTH - 2)), setting]
        )
    begin = f"{setting}  ".ljust(_COLUMN) + "# "
    further = " " * _COLUMN + "# "
    return "\n".join(
        wrap(meaning.rstrip("."), _WIDTH, initial_indent=begin, subsequent_indent=further)
    )


def classes_in(data: str, home: Path) -> int | None:
    """Number of classes of a folder of images; None of other data.

    Raises:
        RecipeError: if there is no such folder.
    """
    if not is_of_pictures(data) or is_of_timm(data):
        return None
    train = home / data / "train"
    if not train.is_dir():
        raise RecipeError(
            f"A folder of images has a folder train/CLASS for each class, but {shown(str(train))} "
            "is not there. Name the folder above train, or a data set: digits, cifar10-jpeg."
        )
    return sum(entry.is_dir() for entry in train.iterdir())


def with_classes(space: dict[str, object], n_classes: int | None) -> dict[str, object]:
    """The settings of a named space with heads for so many classes, if it has others."""
    name = space.get("name")
    if n_classes is None or name is None:
        return space
    defaults = {key.name: key.default for key in settings_of(str(name))}
    if defaults.get("n_classes") in (None, str(n_classes)):
        return space
    return {**space, "n_classes": n_classes}


def known_spaces() -> tuple[str, ...]:
    """Names of the spaces that come with the package."""
    return tuple(SPACES)
