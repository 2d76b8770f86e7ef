"""Vision transformers: what their families share, and timm's names for their weights."""

from dataclasses import dataclass
from functools import partial

from tailorbird.spaces.stitching.family import Family, Part
from tailorbird.spaces.workload import Workload, module_workload

_workload = partial(module_workload, "tailorbird.spaces.stitching.modules.vit")
_PATCH = 16
_MLP_RATIO = 4
_EMBEDDING = ("cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias")
_LAYERS = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
_BLOCK = tuple(f"{layer}.{kind}" for layer in _LAYERS for kind in ("weight", "bias"))
_HEAD = ("norm.weight", "norm.bias", "head.weight", "head.bias")


@dataclass(frozen=True, slots=True)
class VisionTransformer:
    """Design of a vision transformer of any size.

    Attributes:
        embedding: operator and torch module of the embedding.
        block: operator and torch module of a block.
        more_block_weights: of a block, beside those of its norms, attention and MLP.
    """

    embedding: tuple[str, str]
    block: tuple[str, str]
    more_block_weights: tuple[str, ...] = ()

    def workload(self, family: Family, part: Part, width: int, heads: int) -> Workload:
        """The workload of a part.

        Args:
            family: of this design, whose images are square.
            part: an embedding, a block or a head.
            width: channels of a token.
            heads: attention heads of a block.
        """
        batch, _, side, _ = family.input_shape
        tokens = (batch, (side // _PATCH) ** 2 + 1, width)  # one per patch, and the class token
        match part.kind:
            case "embedding":
                op, module = self.embedding
                params = {"width": width, "side": side, "patch": _PATCH}
                return _workload(module, op, params, family.input_shape)
            case "block":
                op, module = self.block
                params = {"width": width, "heads": heads, "mlp_ratio": _MLP_RATIO}
                return _workload(module, op, params, tokens)
            case "head":
                params = {"width": width, "classes": family.n_classes}
                return _workload("Head", "vit_head", params, tokens)
        raise ValueError(f"A family has no workload for {part}.")

    def place(self, anchor: int, depth: int, name: str) -> tuple[Part, str]:
        """Part of a weight in an anchor of `depth` blocks, by timm's name, and its name there.

        Raises:
            KeyError: if an anchor has no such weight.
        """
        places = {
            **{weight: (Part("embedding", anchor), weight) for weight in _EMBEDDING},
            **{
                f"blocks.{i}.{weight}": (Part("block", anchor, i), weight)
                for i in range(depth)
                for weight in (*_BLOCK, *self.more_block_weights)
            },
            **{weight: (Part("head", anchor), weight) for weight in _HEAD},
        }
        return places[name]


def name_of(part: Part, inner: str) -> str:
    """What timm calls a weight of a part of a vision transformer."""
    return f"blocks.{part.index}.{inner}" if part.kind == "block" else inner
