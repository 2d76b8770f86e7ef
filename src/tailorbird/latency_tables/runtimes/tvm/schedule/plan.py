"""Plans: what tuning may choose in the schedule of a contraction."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from tailorbird.latency_tables.runtimes.tvm.schedule.tile import Tile

PLAN = "tailorbird.plan"
"""Annotation of a block that holds a plan as text, where it is not the static rule's."""

PADDING = ("first", "outermost", "innermost")
EPILOGUE = ("tile", "panel", "end")
PACKING = ("vectors", "panel", "end")


@dataclass(frozen=True, slots=True)
class Plan:
    """A schedule of one contraction; with the default of all but the tile, the static rule's.

    Attributes:
        tile: accumulators that stay in registers.
        outside: how many of the loops that share weights (images, lines, tiles of rows) go round
            the loop over panels of weights, instead of inside it.
        k_block: steps of the last summed axis after which the next rows have their turn, so that a
            piece of a panel stays in the first-level cache; 0 for the whole axis.
        unroll: steps of the innermost summed loop without a jump.
        padding: where padded inputs are written: before everything, or in the outermost or
            innermost of the loops that go round the panels.
        epilogue: when what follows is computed: on each finished tile, after a panel, or at the
            end (of each matrix, where there are several).
        packing: of weights that are not known before: a panel at a time in whole vectors, a panel
            at a time as LLVM likes, or all of a matrix as LLVM likes.
    """

    tile: Tile
    outside: int = 0
    k_block: int = 0
    unroll: int = 1
    padding: str = "first"
    epilogue: str = "tile"
    packing: str = "vectors"

    def __post_init__(self) -> None:
        for name, known in (("padding", PADDING), ("epilogue", EPILOGUE), ("packing", PACKING)):
            if getattr(self, name) not in known:
                raise ValueError(f"`{name}` must be one of {known}, but got {self!r}.")
        if min(self.outside, self.k_block, self.unroll - 1) < 0:
            raise ValueError(f"`outside, k_block >= 0 and unroll >= 1` must hold: {self!r}.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a plan from its text.

        Raises:
            ValueError: if it is none.
        """
        return cls.of(json.loads(text))

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """Makes a plan of its fields, with the tile as a list of rows, columns and lanes.

        Raises:
            ValueError: if they are none.
        """
        try:
            return cls(Tile(*fields["tile"]), **{k: v for k, v in fields.items() if k != "tile"})
        except (TypeError, KeyError) as error:
            raise ValueError(f"{fields!r} is no plan of a contraction ({error}).") from error

    @property
    def fields(self) -> dict[str, Any]:
        """Fields in the types of JSON, as `of` takes them."""
        return asdict(self) | {"tile": [self.tile.rows, self.tile.columns, self.tile.lanes]}

    def __str__(self) -> str:
        return json.dumps(self.fields, sort_keys=True)
