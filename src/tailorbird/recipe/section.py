"""Types that tables of a recipe have in common."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from tailorbird.registry.data_sets import DATA_SETS, is_of_pictures
from tailorbird.registry.python_paths import PATTERN, is_path

Count = Annotated[int, Field(ge=1)]
Limit = Annotated[float, Field(ge=1e-9, allow_inf_nan=False)] | None
Seconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
"""Duration of up to four months, which every clock can wait for."""

PythonPath = Annotated[str, Field(pattern=f"^{PATTERN.pattern}$")]
"""`package.module:name`."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Law of a text, which its JSON schema has as a description.

    Attributes:
        is_allowed: true for a text that keeps it.
        expected: what such a text is, for errors and references.
    """

    is_allowed: Callable[[str], bool]
    expected: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Schema of pydantic's that checks it after the type."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """JSON schema that says it."""
        return {**handler(schema), "description": self.expected}

    def _checked(self, text: str) -> str:
        if not self.is_allowed(text):
            raise PydanticCustomError("literal_error", "{expected}", {"expected": self.expected})
        return text


def one_of(names: Collection[str]) -> Allowed:
    """Refuses what is none of these names."""
    *others, last = map(repr, names)
    return Allowed(lambda name: name in names, f"{', '.join(others)} or {last}")


def one_of_or_path(names: Collection[str]) -> Allowed:
    """Refuses what is neither one of these names nor a Python path."""
    known = ", ".join(map(repr, names))
    return Allowed(
        lambda name: name in names or is_path(name),
        f"{known} or a Python path of your own, 'package.module:name'",
    )


def matching(pattern: str, expected: str) -> Allowed:
    """Refuses what does not match a pattern.

    Args:
        pattern: of all of the text.
        expected: what it stands for, for errors.
    """
    return Allowed(lambda text: re.fullmatch(pattern, text) is not None, expected)


def _pictures() -> Allowed:
    """Refuses what is neither the name of a data set, nor a path or a name that timm knows."""
    known = ", ".join(map(repr, DATA_SETS))
    return Allowed(
        lambda name: name in DATA_SETS or is_of_pictures(name),
        f"{known}, a folder of images with train/CLASS and val/CLASS in it (./images), or a name "
        "that timm knows (torch/cifar10)",
    )


one_of_or_pictures = _pictures()


class Section(BaseModel):
    """A table: every key is known, and none is turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
