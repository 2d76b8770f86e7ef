"""What tables of a recipe have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Limit = Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
PythonPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""`package.module:name`."""


class Section(BaseModel):
    """A table: every key is known, and none is turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
