"""Stitches without those whose networks cost as much as the larger anchor that they join."""

from dataclasses import dataclass

from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching.family import Family
from tailorbird.spaces.stitching.space import StitchSpace
from tailorbird.spaces.stitching.stitch import Rule, Stitch


@dataclass(frozen=True, slots=True)
class BelowLargerAnchor:
    """Stitches of another rule whose networks cost less than the larger of their two anchors.

    What counts are multiply-adds of the network that crosses this stitch alone. Where all stitches
    lead to larger anchors, networks that cross several cost less than the last one, too. Imports
    torch to count.

    Attributes:
        rule: whose stitches they are; they keep their layers' numbers.
    """

    rule: Rule

    def __str__(self) -> str:
        return f"{self.rule},below_larger_anchor"

    def stitches(self, family: Family) -> tuple[Stitch, ...]:
        """All stitches of a family, ordered by pair of anchors."""
        space = StitchSpace(family, self.rule, max_stitches=1)
        macs, ends = count_macs(space, space.crossings), count_macs(space, space.landmarks)
        return tuple(
            stitch
            for stitch, n in zip(space.stitches, macs, strict=True)
            if n < max(ends[stitch.source], ends[stitch.target])
        )
