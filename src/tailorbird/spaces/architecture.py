"""One network of a space, as functions of users' own get it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tailorbird.errors import plain
from tailorbird.notebook import named
from tailorbird.spaces.space import IntArray, SearchSpace

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True, eq=False)
class Architecture:
    """A network of a space.

    Attributes:
        row: its canonical encoding, (d,).
        space: that it is of.
        text: that describes it.
    """

    row: IntArray
    space: SearchSpace
    text: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.space.describe(self.row))

    def __repr__(self) -> str:
        return plain(f"Architecture({named(self.text)}, {self.space!r})")

    def build(self) -> "nn.Module":
        """The network with fresh weights, a new one each time. Imports torch."""
        return self.space.build(self.row.copy())

    @property
    def choices(self) -> dict[str, str]:
        """The choice of each variable, by its name."""
        variables = zip(self.space.variables, self.row, strict=True)
        return {variable.name: variable.choices[choice] for variable, choice in variables}
