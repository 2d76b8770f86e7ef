"""Stitchable networks: pretrained anchors of one family joined by small stitching layers."""

from tailorbird.spaces.stitching.family import Family, Part
from tailorbird.spaces.stitching.space import StitchSpace

__all__ = ["Family", "Part", "StitchSpace"]
