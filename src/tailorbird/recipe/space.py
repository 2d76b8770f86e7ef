"""The table [space]."""

from typing import Any, Self

from pydantic import ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from tailorbird.recipe.section import PythonPath, Section


class SpaceSection(Section):
    """Which networks there are: a named space, or what a Python path makes.

    Other keys are settings of that space.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    name: str | None = None
    module: PythonPath | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.name is None) == (self.module is None):
            raise PydanticCustomError("space", "[space] must have either a name or a module")
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """What the space is made with; the space says which settings it has."""
        return dict(self.model_extra or {})
