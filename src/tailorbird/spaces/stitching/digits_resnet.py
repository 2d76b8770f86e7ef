"""Residual networks of four widths for 8x8 images: the family of the demo."""

from dataclasses import dataclass

from tailorbird.spaces.stitching.family import Part
from tailorbird.spaces.workload import Workload

_MODULES = "tailorbird.spaces.stitching.residual"
_SIDE = 8
_CLASSES = 10


@dataclass(frozen=True, slots=True)
class DigitsResNet:
    """Anchors that differ in width only; every block works on 8x8 pixels."""

    batch: int
    widths: tuple[int, ...] = (4, 8, 16, 32)
    depth: int = 6
    name: str = "digits-resnet"

    @property
    def anchors(self) -> tuple[str, ...]:
        """`w4`, `w8`, …"""
        return tuple(f"w{width}" for width in self.widths)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One grey channel."""
        return (self.batch, 1, _SIDE, _SIDE)

    def workload(self, part: Part) -> Workload:
        """The workload of a part."""
        width = self.widths[part.anchor]
        features = (self.batch, width, _SIDE, _SIDE)
        match part.kind:
            case "embedding":
                params = (("width", width),)
                return Workload("embedding", params, (self.input_shape,), f"{_MODULES}:Embedding")
            case "block":
                params = (("width", width),)
                return Workload("residual_block", params, (features,), f"{_MODULES}:Block")
            case "stitch":
                params = (("width", width), ("to", self.widths[part.anchor + 1]))
                return Workload("stitch", params, (features,), f"{_MODULES}:Stitch")
            case "head":
                params = (("width", width), ("classes", _CLASSES))
                return Workload("head", params, (features,), f"{_MODULES}:Head")
