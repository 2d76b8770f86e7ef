"""Residual networks of four widths for 8x8 images: the family of the demo."""

from dataclasses import dataclass
from functools import partial

from tailorbird.spaces.stitching.family import Part
from tailorbird.spaces.workload import Workload, module_workload

_workload = partial(module_workload, "tailorbird.spaces.stitching.modules.digits_resnet")
_HEADS = "tailorbird.spaces.stitching.modules.heads"
_SIDE = 8


@dataclass(frozen=True, slots=True)
class DigitsResNet:
    """Anchors that differ in width only; every block works on 8x8 pixels."""

    batch: int
    widths: tuple[int, ...] = (4, 8, 16, 32)
    depth: int = 6
    n_classes: int = 10
    name: str = "digits-resnet"

    @property
    def anchors(self) -> tuple[str, ...]:
        """Names by width, such as `w4`."""
        return tuple(f"w{width}" for width in self.widths)

    @property
    def stages(self) -> tuple[tuple[int, ...], ...]:
        """One stage, as deep in every anchor."""
        return ((self.depth,),) * len(self.widths)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (batch, 1, 8, 8) of grey images."""
        return (self.batch, 1, _SIDE, _SIDE)

    def workload(self, part: Part) -> Workload:
        """The workload of a part."""
        width = self.widths[part.anchor]
        features = (self.batch, width, _SIDE, _SIDE)
        match part.kind:
            case "embedding":
                params = {"width": width}
                return _workload("Embedding", "embedding", params, self.input_shape)
            case "block":
                return _workload("Block", "residual_block", {"width": width}, features)
            case "head":
                params = {"width": width, "classes": self.n_classes}
                return module_workload(_HEADS, "Head", "head", params, features)
        raise ValueError(f"A family has no workload for {part}.")
