"""A family of pretrained anchors, and the parts that networks made from it consist of."""

from dataclasses import dataclass
from typing import Literal, Protocol

from tailorbird.spaces.workload import Workload


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One piece of a stitched network; networks that share a part share its weights.

    Attributes:
        kind: which piece of a network it is.
        anchor: the anchor that it belongs to, or that a stitch leaves.
        index: number of the block, or of the stitching layer; 0 for the others.
        target: the anchor that a stitch enters; -1 for the others.
    """

    kind: Literal["embedding", "block", "stitch", "head"]
    anchor: int
    index: int = 0
    target: int = -1

    def __str__(self) -> str:
        to = f"-{self.target}" if self.kind == "stitch" else ""
        return f"{self.kind}-{self.anchor}{to}-{self.index}"


class Family(Protocol):
    """Anchors for one input and one set of classes, ordered from small to large.

    An anchor is an embedding, blocks in a row, and a head. Blocks are numbered through all stages;
    what leads from one stage to the next, such as a merge of patches, belongs to the first block of
    the stage that it leads to.
    """

    @property
    def name(self) -> str:
        """Name of the family; families of one name are equal."""

    @property
    def anchors(self) -> tuple[str, ...]:
        """A short name for each anchor."""

    @property
    def stages(self) -> tuple[tuple[int, ...], ...]:
        """Number of blocks in each stage, for each anchor; all anchors have as many stages."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the input of every anchor, batch first."""

    @property
    def n_classes(self) -> int:
        """Number of classes that every anchor's head tells apart."""

    def workload(self, part: Part) -> Workload:
        """The workload of an embedding, a block or a head.

        Its module leaves its input as it is. A block or head takes one input of shape
        (n, tokens, width) or (n, channels, height, width).
        """


class Pretrained(Family, Protocol):
    """A family that knows where the weights of an anchor's own state dict go.

    It may also have a method `name_of(part, inner)`, the inverse of `place`: then messages about
    weights that do not fit show their names in the state dict. And a method `preprocessing(anchor)`
    gives the `Preprocessing` that the published weights of an anchor were trained with.
    """

    def place(self, anchor: int, name: str) -> tuple[Part, str]:
        """The part that a weight of an anchor's state dict belongs to, and its name there.

        Raises:
            KeyError: if an anchor has no such weight.
        """


def blocks_of(family: Family, anchor: int) -> list[tuple[int, int]]:
    """(stage, number within it) of each block of an anchor."""
    return [(s, i) for s, depth in enumerate(family.stages[anchor]) for i in range(depth)]


def parts_of(family: Family, anchor: int) -> tuple[Part, ...]:
    """Parts of an anchor alone, in their order: embedding, blocks and head."""
    blocks = (Part("block", anchor, i) for i in range(sum(family.stages[anchor])))
    return (Part("embedding", anchor), *blocks, Part("head", anchor))
