"""Data-efficient image transformers Ti, S and B on images of 224 pixels."""

from dataclasses import dataclass

from tailorbird.spaces.stitching.family import Part
from tailorbird.spaces.workload import Workload

_MODULES = "tailorbird.spaces.stitching.modules.vit"
_PATCH = 16
_MLP_RATIO = 4
_EMBEDDING = ("cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias")
_LAYERS = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
_HEAD = ("norm.weight", "norm.bias", "head.weight", "head.bias")

BLOCK_WEIGHTS = tuple(f"{layer}.{kind}" for layer in _LAYERS for kind in ("weight", "bias"))
"""Names that timm gives the weights of a block."""


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
    n_classes: int = 1000
    name: str = "deit-ti-s-b"

    @property
    def stages(self) -> tuple[tuple[int, ...], ...]:
        """One."""
        return ((self.depth,),) * len(self.widths)

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
                return vit_workload("patch_embedding", params, self.input_shape, "PatchEmbedding")
            case "block":
                heads = self.heads[part.anchor]
                params = {"width": width, "heads": heads, "mlp_ratio": _MLP_RATIO}
                return vit_workload("vit_block", params, tokens, "Block")
            case "head":
                params = {"width": width, "classes": self.n_classes}
                return vit_workload("vit_head", params, tokens, "Head")
        raise ValueError(f"A family has no workload for {part}.")

    def place(self, anchor: int, name: str) -> tuple[Part, str]:
        """Part of a weight of timm's `deit_*_patch16_224`, and its name there.

        Raises:
            KeyError: if an anchor has no such weight.
        """
        return vit_places(anchor, self.depth, BLOCK_WEIGHTS)[name]

    def name_of(self, part: Part, inner: str) -> str:
        """The name of a part's weight in an anchor's state dict: what `place` takes."""
        return vit_name(part, inner)


def vit_workload(op: str, params: dict[str, int], shape: tuple[int, ...], module: str) -> Workload:
    """A workload of one of the modules of vision transformers."""
    return Workload(op, tuple(params.items()), (shape,), f"{_MODULES}:{module}")


def vit_places(
    anchor: int, depth: int, block_weights: tuple[str, ...]
) -> dict[str, tuple[Part, str]]:
    """Part and name there of each weight of a vision transformer, by timm's name for it."""
    return {
        **{name: (Part("embedding", anchor), name) for name in _EMBEDDING},
        **{
            f"blocks.{i}.{name}": (Part("block", anchor, i), name)
            for i in range(depth)
            for name in block_weights
        },
        **{name: (Part("head", anchor), name) for name in _HEAD},
    }


def vit_name(part: Part, inner: str) -> str:
    """What timm calls a weight of a part of a vision transformer."""
    return f"blocks.{part.index}.{inner}" if part.kind == "block" else inner
