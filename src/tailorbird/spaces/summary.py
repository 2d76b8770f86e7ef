"""Summary of a space: a line for prompts, and its variables as a table."""

from typing import TYPE_CHECKING

from tailorbird.notebook import begun, counted, html_table, named
from tailorbird.spaces.space import SearchSpace

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 20  # variables that a line can begin to name


def line(space: SearchSpace) -> str:
    """Class, name, number of networks, and variables with their choices, in one line."""
    size, d = counted(space.size, "network"), counted(len(space.variables), "variable")
    choices = ", ".join(f"{v.name} ({', '.join(v.choices)})" for v in space.variables[:_SHOWN])
    return f"{type(space).__name__}({named(space.name)}, {size}, {d}: {begun(choices)})"


def table(space: SearchSpace) -> "pd.DataFrame":
    """The variables of a space, a row each: name, number of choices, and these as a tuple."""
    import pandas as pd

    return pd.DataFrame(
        {
            "variable": [variable.name for variable in space.variables],
            "n_choices": [len(variable.choices) for variable in space.variables],
            "choices": [variable.choices for variable in space.variables],
        }
    )


def html(space: SearchSpace) -> str:
    """The first variables of a space as HTML."""
    frame = table(space)
    return html_table(frame.assign(choices=frame["choices"].map(", ".join)), line(space))
