"""The table [report]."""

from typing import Annotated

from pydantic import Field

from tailorbird.recipe.section import Section


class ReportSection(Section):
    """How many networks are checked on the device.

    Attributes:
        networks: networks of the front, thinned to so many, that are built, evaluated and timed.
        random_networks: random networks that are checked likewise, since the front alone would
            flatter predictors.
    """

    networks: Annotated[int, Field(ge=1, le=10_000)] = 16
    random_networks: Annotated[int, Field(ge=2, le=10_000)] = 20
