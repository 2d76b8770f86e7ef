"""Stitches in both directions."""

from dataclasses import dataclass

from tailorbird.spaces.stitching.family import Family
from tailorbird.spaces.stitching.stitch import Reach, Stitch, anchor_pairs


@dataclass(frozen=True, slots=True)
class TwoWay:
    """SN-Netv2's rule, for anchors of one stage; the deeper may be a multiple as deep.

    With r blocks of the deeper anchor to one of the other, a route leaves the small one behind
    block i for block (i + 1) r, and the large one, at the end of a group of r, for the small
    block that comes next. With at most two stitches these are the paper's routes.

    Attributes:
        reach: which anchors are joined.

    References:
        Pan, Liu, He, Cai, Zhuang: Stitched ViTs are Flexible Vision Backbones. ECCV 2024.
    """

    reach: Reach = "neighbours"

    def __str__(self) -> str:
        return "two-way" if self.reach == "neighbours" else f"two-way,pairs={self.reach}"

    def stitches(self, family: Family) -> tuple[Stitch, ...]:
        """All stitches of a family, ordered by pair of anchors.

        Raises:
            ValueError: if the anchors' depths are not multiples.
        """
        both_ways = []
        for a, b in anchor_pairs(family, self.reach):
            if len(family.stages[a]) > 1 or family.stages[b][0] % family.stages[a][0]:
                raise ValueError(
                    "Two-way stitches join anchors of one stage, the larger a multiple as deep, "
                    f"but {family.anchors[a]} has stages {family.stages[a]} and "
                    f"{family.anchors[b]} {family.stages[b]}. Use windows."
                )
            depth = family.stages[a][0]
            ratio = family.stages[b][0] // depth
            # Behind the last block there is nothing left to enter.
            both_ways += [Stitch(a, i, b, (i + 1) * ratio, i) for i in range(depth - 1)]
            both_ways += [Stitch(b, (i + 1) * ratio - 1, a, i + 1, i) for i in range(depth - 1)]
        return tuple(both_ways)
