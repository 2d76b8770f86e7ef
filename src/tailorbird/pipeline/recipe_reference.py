"""Reference of recipes: every key with its values, default and meaning, from the schema."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from tailorbird.recipe.accuracy import (
    AccuracySection,
    LearningRates,
    SharedLearningRates,
    WeightsFile,
)
from tailorbird.recipe.device import DeviceSection
from tailorbird.recipe.images import AugmentationSection, PreprocessingSection
from tailorbird.recipe.latency import LatencySection
from tailorbird.recipe.recipe import Recipe
from tailorbird.recipe.report import ReportSection
from tailorbird.recipe.search import SearchSection
from tailorbird.recipe.section import Section
from tailorbird.recipe.space import SpaceSection
from tailorbird.registry.python_paths import PATTERN
from tailorbird.spaces.registry import SETTINGS, SPACES

TABLES: Mapping[str, type[Section]] = {
    "": Recipe,
    "[space]": SpaceSection,
    "[device]": DeviceSection,
    "[latency]": LatencySection,
    "[accuracy]": AccuracySection,
    "[accuracy.anchors.NAME]": WeightsFile,
    "[accuracy.learning_rates]": LearningRates,
    "[accuracy.shared_learning_rates]": SharedLearningRates,
    "[accuracy.preprocessing]": PreprocessingSection,
    "[accuracy.augmentation]": AugmentationSection,
    "[search]": SearchSection,
    "[report]": ReportSection,
}
"""Models of all tables of a recipe, by what heads them."""

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)$", re.MULTILINE)
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
}
_TYPES = {
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "object": "table",
    "string": "text",
}


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a table.

    Attributes:
        name: of the key.
        values: that it may have.
        default: as TOML writes it; empty if there is none, or nothing is written.
        meaning: what it is.
    """

    name: str
    values: str
    default: str
    meaning: str


def keys_of(section: type[Section]) -> Iterator[Key]:
    """Yields the keys of a table, in their order."""
    meanings = meanings_of(section)
    for name, field in section.model_fields.items():
        schema = _schema(name, field.annotation, section)
        default = (
            "" if field.is_required() else in_toml(field.get_default(call_default_factory=True))
        )
        yield Key(name, _values(schema), default, meanings[name])


def settings_of(space: str) -> Iterator[Key]:
    """Yields the settings of a space that comes with the package, by its name."""
    for parameter in inspect.signature(SPACES[space]).parameters.values():
        if parameter.name != "batch":
            values = _values(TypeAdapter(parameter.annotation).json_schema())
            meaning = SETTINGS[parameter.name]
            yield Key(parameter.name, values, in_toml(parameter.default), meaning)


def meanings_of(section: type[Section]) -> dict[str, str]:
    """Meanings of the keys of a table by name, from the docstring of its model."""
    _, _, attributes = inspect.cleandoc(section.__doc__ or "").partition("Attributes:\n")
    return {name: re.sub(r"\s+", " ", meaning) for name, meaning in _ATTRIBUTE.findall(attributes)}


def in_toml(value: object) -> str:
    """Writes a default as TOML does; empty where TOML has nothing for it, such as a table."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # whose escapes TOML knows as well
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(in_toml, value))}]"
    return ""


def as_markdown() -> str:
    """Page of all keys of all tables, and of the settings of all spaces."""
    parts = [
        "# Recipe reference\n\nA recipe is a TOML file. `name` and `[space]` must be there; all "
        "other keys have defaults. A key that is not known is refused, with the nearest that is.\n"
    ]
    for title, section in TABLES.items():
        first = inspect.cleandoc(section.__doc__ or "").splitlines()[0]
        if section is WeightsFile:
            first += (
                " `largest` and `trained` may be such tables as well; a path alone is a `file`."
            )
        heading = f"`{title}`" if title else "Above all tables"
        parts.append(f"## {heading}\n\n{first}\n\n{_table(keys_of(section))}")
        if section is SpaceSection:
            parts.append(
                "### Settings of named spaces\n\nThey stand in `[space]` beside `name`. Their "
                f"networks take the images of `[device] batch`.\n\n{_settings_table()}"
            )
    return "\n".join(parts)


def _table(keys: Iterator[Key]) -> str:
    lines = ["| key | is | values | default |", "|---|---|---|---|"]
    for key in keys:
        default = f"`{key.default}`" if key.default else ""
        cells = (f"`{key.name}`", key.meaning, key.values, default)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _settings_table() -> str:
    lines = ["| key | is | values | default of each space |", "|---|---|---|---|"]
    for setting, meaning in SETTINGS.items():
        having = {
            space: key for space in SPACES for key in settings_of(space) if key.name == setting
        }
        (values, *_) = sorted({key.values for key in having.values()}, key=len, reverse=True)
        by_default: dict[str, list[str]] = {}
        for space, key in having.items():
            by_default.setdefault(key.default, []).append(f"`{space}`")
        defaults = [
            f"`{default}`: {', '.join(names)}" if default else f"as `stitches` asks: {names[0]}"
            for default, names in by_default.items()
        ]
        cells = (f"`{setting}`", meaning, values, "; ".join(defaults))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _schema(name: str, annotation: object, section: type[Section]) -> Mapping[str, Any]:
    if section is Recipe:  # whose tables stand for themselves
        is_table = name not in ("name", "seed")
        return {"type": "object"} if is_table else Recipe.model_json_schema()["properties"][name]
    properties: Mapping[str, Any] = section.model_json_schema()["properties"]
    return properties[name]  # type: ignore[no-any-return]  # of JSON


def _values(schema: Mapping[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    if "anyOf" in schema:
        kinds = [_values(kind) for kind in schema["anyOf"] if kind.get("type") != "null"]
        return ", or ".join(kinds)
    if "description" in schema:
        return _quoted(schema["description"])
    if "enum" in schema or "const" in schema:
        return ", ".join(
            f"`{in_toml(value)}`" for value in schema.get("enum", [schema.get("const")])
        )
    if "pattern" in schema:
        return "Python path, `module:name`" if PATTERN.pattern in schema["pattern"] else "text"
    if schema.get("type") == "array":
        items = schema.get("items") or schema["prefixItems"][0]
        return f"list of: {_values(items)}"
    if "$ref" in schema:
        return _TYPES["object"]
    tight = {"minimum"} if "exclusiveMinimum" in schema else set[str]()
    bounds = [
        text.format(_number(schema[key]))
        for key, text in _BOUNDS.items()
        if key in schema and key not in tight
    ]
    return ", ".join([_TYPES[schema["type"]], *bounds])


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _quoted(text: str) -> str:
    """Names in quotes as code."""
    return re.sub(r"'([^']*)'", lambda name: f"`{name[1]}`", text)
