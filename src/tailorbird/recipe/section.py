"""What tables of a recipe have in common."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Count = Annotated[int, Field(ge=1)]
Limit = Annotated[float, Field(ge=1e-9, allow_inf_nan=False)] | None
Seconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
"""Up to four months, which every clock can wait for."""

PythonPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""`package.module:name`."""


def one_of(names: Iterable[str]) -> AfterValidator:
    """Refuses what is none of these names."""
    known = tuple(names)
    *others, last = map(repr, known)
    expected = f"{', '.join(others)} or {last}"

    def check(name: str) -> str:
        if name not in known:
            raise PydanticCustomError("literal_error", "{expected}", {"expected": expected})
        return name

    return AfterValidator(check)


class Section(BaseModel):
    """A table: every key is known, and none is turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
