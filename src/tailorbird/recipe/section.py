"""What tables of a recipe have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Limit = Annotated[float, Field(ge=1e-9, allow_inf_nan=False)] | None
Seconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
"""Up to four months, which every clock can wait for."""

PythonPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""`package.module:name`."""


class Section(BaseModel):
    """A table: every key is known, and none is turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
