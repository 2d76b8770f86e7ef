"""A family of pretrained anchors, and the parts that networks made from it consist of."""

from dataclasses import dataclass
from typing import Literal, Protocol

from tailorbird.spaces.workload import Workload


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One piece of a stitched network; networks that share a part share its weights.

    Attributes:
        kind: what it is.
        anchor: the anchor that it belongs to, or that a stitch leaves.
        index: number of the block, or of the stitching layer; 0 for the others.
    """

    kind: Literal["embedding", "block", "stitch", "head"]
    anchor: int
    index: int = 0

    def __str__(self) -> str:
        return f"{self.kind}-{self.anchor}-{self.index}"


class Family(Protocol):
    """Anchors of one depth and one resolution, ordered from small to large."""

    @property
    def name(self) -> str:
        """What the family is called."""

    @property
    def anchors(self) -> tuple[str, ...]:
        """A short name for each anchor."""

    @property
    def depth(self) -> int:
        """Blocks of every anchor."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the input of every anchor, batch first."""

    def workload(self, part: Part) -> Workload:
        """The workload of a part; a stitch leads from its anchor to the next one."""
