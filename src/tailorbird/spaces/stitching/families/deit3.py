"""Data-efficient image transformers of the third kind, S and L, on images of 224 pixels."""

from dataclasses import dataclass

from tailorbird.spaces.stitching.families.deit import (
    BLOCK_WEIGHTS,
    vit_name,
    vit_places,
    vit_workload,
)
from tailorbird.spaces.stitching.family import Part
from tailorbird.spaces.workload import Workload

_PATCH = 16
_MLP_RATIO = 4
_BLOCK_WEIGHTS = (*BLOCK_WEIGHTS, "ls1.gamma", "ls2.gamma")


@dataclass(frozen=True, slots=True)
class DeiT3:
    """Anchors that differ in width, in number of heads and in depth; their branches are scaled.

    References:
        Touvron, Cord, Jégou: DeiT III: Revenge of the ViT. ECCV 2022.
    """

    batch: int
    anchors: tuple[str, ...] = ("s", "l")
    widths: tuple[int, ...] = (384, 1024)
    heads: tuple[int, ...] = (6, 16)
    depths: tuple[int, ...] = (12, 24)
    side: int = 224
    n_classes: int = 1000
    name: str = "deit3-s-l"

    @property
    def stages(self) -> tuple[tuple[int, ...], ...]:
        """One."""
        return tuple((depth,) for depth in self.depths)

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
                op, module = "patch_position_embedding", "PatchPositionEmbedding"
                params = {"width": width, "side": self.side, "patch": _PATCH}
                return vit_workload(op, params, self.input_shape, module)
            case "block":
                heads = self.heads[part.anchor]
                params = {"width": width, "heads": heads, "mlp_ratio": _MLP_RATIO}
                return vit_workload("scaled_vit_block", params, tokens, "ScaledBlock")
            case "head":
                params = {"width": width, "classes": self.n_classes}
                return vit_workload("vit_head", params, tokens, "Head")
        raise ValueError(f"A family has no workload for {part}.")

    def place(self, anchor: int, name: str) -> tuple[Part, str]:
        """Part of a weight of timm's `deit3_*_patch16_224`, and its name there.

        Raises:
            KeyError: if an anchor has no such weight.
        """
        return vit_places(anchor, self.depths[anchor], _BLOCK_WEIGHTS)[name]

    def name_of(self, part: Part, inner: str) -> str:
        """The name of a part's weight in an anchor's state dict: what `place` takes."""
        return vit_name(part, inner)
