"""The table [report]."""

from typing import Annotated

from pydantic import Field

from tailorbird.recipe.section import Count, Section


class ReportSection(Section):
    """What is checked on the device."""

    networks: Count = 16
    random_networks: Annotated[int, Field(ge=2)] = 20
