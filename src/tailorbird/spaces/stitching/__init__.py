"""Stitchable networks: pretrained anchors of one family joined by small stitching layers."""

from tailorbird.spaces.stitching.below_larger import BelowLargerAnchor
from tailorbird.spaces.stitching.family import Family, Part, Pretrained
from tailorbird.spaces.stitching.places import EveryPlace, Places
from tailorbird.spaces.stitching.space import StitchSpace
from tailorbird.spaces.stitching.stitch import Rule, Stitch
from tailorbird.spaces.stitching.two_way import TwoWay
from tailorbird.spaces.stitching.windows import Windows

__all__ = [
    "BelowLargerAnchor",
    "EveryPlace",
    "Family",
    "Part",
    "Places",
    "Pretrained",
    "Rule",
    "Stitch",
    "StitchSpace",
    "TwoWay",
    "Windows",
]
