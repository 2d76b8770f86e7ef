"""The table [report]."""

from typing import Annotated

from pydantic import Field

from tailorbird.recipe.section import Section


class ReportSection(Section):
    """How many networks are checked on the device."""

    networks: Annotated[int, Field(ge=1, le=10_000)] = 16
    random_networks: Annotated[int, Field(ge=2, le=10_000)] = 20
