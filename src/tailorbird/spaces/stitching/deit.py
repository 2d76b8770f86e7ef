"""Data-efficient image transformers Ti, S and B on images of 224 pixels."""

from dataclasses import dataclass

from tailorbird.spaces.stitching.family import Part
from tailorbird.spaces.workload import Workload

_MODULES = "tailorbird.spaces.stitching.vit"
_PATCH = 16
_MLP_RATIO = 4
_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class DeiT:
    """Anchors that differ in width and in number of heads.

    References:
        Touvron, Cord, Douze, Massa, Sablayrolles, Jégou: Training data-efficient image
        transformers & distillation through attention. ICML 2021.
    """

    batch: int
    anchors: tuple[str, ...] = ("ti", "s", "b")
    widths: tuple[int, ...] = (192, 384, 768)
    heads: tuple[int, ...] = (3, 6, 12)
    depth: int = 12
    side: int = 224
    name: str = "deit-ti-s-b"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Three colours."""
        return (self.batch, 3, self.side, self.side)

    @property
    def n_tokens(self) -> int:
        """One per patch, and the class token."""
        return (self.side // _PATCH) ** 2 + 1

    def workload(self, part: Part) -> Workload:
        """The workload of a part."""
        width = self.widths[part.anchor]
        tokens = (self.batch, self.n_tokens, width)
        match part.kind:
            case "embedding":
                params = {"width": width, "side": self.side, "patch": _PATCH}
                return _workload("patch_embedding", params, self.input_shape, "PatchEmbedding")
            case "block":
                heads = self.heads[part.anchor]
                params = {"width": width, "heads": heads, "mlp_ratio": _MLP_RATIO}
                return _workload("vit_block", params, tokens, "Block")
            case "stitch":
                params = {"width": width, "to": self.widths[part.anchor + 1]}
                return _workload("token_stitch", params, tokens, "Stitch")
            case "head":
                params = {"width": width, "classes": _CLASSES}
                return _workload("vit_head", params, tokens, "Head")


def _workload(op: str, params: dict[str, int], shape: tuple[int, ...], module: str) -> Workload:
    return Workload(op, tuple(params.items()), (shape,), f"{_MODULES}:{module}")
