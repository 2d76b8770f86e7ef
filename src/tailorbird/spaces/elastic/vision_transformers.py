"""Elastic vision transformers: the smaller networks within a DeiT or a ViT."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

from tailorbird.spaces.chains.chain import Chain
from tailorbird.spaces.chains.stage_paths import StagePaths
from tailorbird.spaces.elastic.layout import ElasticLayout
from tailorbird.spaces.workload import Workload, module_workload

Member = Literal["ti", "s", "b"]
"""Names of the largest networks, as DeiT's authors call them."""

_workload = partial(module_workload, "tailorbird.spaces.stitching.modules.vit")
_HEAD_DIM, _DEPTHS = 64, (6, 8, 10, 12)
_HEADS: dict[Member, tuple[int, ...]] = {"ti": (1, 2, 3), "s": (2, 4, 6), "b": (4, 8, 12)}
_MLP_RATIOS = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Blocks of one width, each with some of its heads and hidden units."""

    width: int
    heads: tuple[int, ...]
    depths: ClassVar = _DEPTHS
    shared: ClassVar[dict[str, tuple[int, ...]]] = {}

    @property
    def options(self) -> dict[str, tuple[int, ...]]:
        hidden = tuple(ratio * self.width for ratio in _MLP_RATIOS)
        return {"heads": self.heads, "hidden": hidden}

    def uses(self, name: str, values: tuple[Any, ...]) -> bool:
        return True

    def block(
        self, shape: tuple[int, ...], slot: int, values: tuple[Any, ...]
    ) -> tuple[Workload, tuple[int, ...]]:
        heads, hidden = values
        return vit_block(shape, heads, _HEAD_DIM, hidden), shape


def vit_block(shape: tuple[int, ...], heads: int, head_dim: int, hidden: int) -> Workload:
    """Workload of a block whose heads are as wide as they are in a larger one.

    Args:
        shape: of its tokens, (n, tokens, width).
        heads: of its attention.
        head_dim: width of each.
        hidden: units of its MLP.
    """
    params = {"width": shape[-1], "heads": heads, "head_dim": head_dim, "hidden": hidden}
    return _workload("SizedBlock", "vit_block", params, shape)


def elastic_vit(
    batch: int, member: Member = "ti", resolution: int = 224, patch: int = 16, n_classes: int = 1000
) -> Chain:
    """Networks of 6, 8, 10 or 12 blocks, each with a third of the heads, two thirds, or all.

    MLPs are nested: each has the first quarter of the largest one's hidden units, the first half or
    all. Weights of the largest network are taken by timm's names.

    Args:
        batch: batch size.
        member: DeiT that is the largest network.
        resolution: pixels along a side.
        patch: pixels along a patch's side.
        n_classes: of the head.

    Raises:
        ValueError: if images are not divided into patches.

    References:
        Touvron, Cord, Douze, Massa, Sablayrolles, Jégou: Training data-efficient image
        transformers & distillation through attention. ICML 2021.
        Chen, Peng, Fu, Ling: AutoFormer: Searching Transformers for Visual Recognition. ICCV 2021
        (heads, hidden units and depth that share weights).
        Devvrit, Kudugunta, Kusupati, et al.: MatFormer: Nested Transformer for Elastic Inference.
        NeurIPS 2024 (nested MLPs).
        Valipour, Rezagholizadeh, Rajabzadeh, Kavehzadeh, Tahaei, Chen, Ghodsi: SortedNet: A
        Scalable and Generalized Framework for Training Modular Deep Neural Networks. 2023.
    """
    if patch < 1 or resolution < patch or resolution % patch:
        raise ValueError(
            f"`resolution` must be a multiple of `patch`, {patch}, but got {resolution}."
        )
    width = _HEAD_DIM * _HEADS[member][-1]
    image = (batch, 3, resolution, resolution)
    tokens = (batch, (resolution // patch) ** 2 + 1, width)  # one per patch, and the class token
    embedding = {"width": width, "side": resolution, "patch": patch}
    head = {"width": width, "classes": n_classes}
    layout = ElasticLayout(
        f"elastic-vit(member={member},resolution={resolution},patch={patch},n_classes={n_classes})",
        image,
        (_workload("PatchEmbedding", "patch_embedding", embedding, image),),
        StagePaths(tokens, [_Blocks(width, _HEADS[member])]),
        ((_workload("Head", "vit_head", head, tokens),),),
    )
    return Chain(layout, _own_name)


_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")


def _own_name(name: str) -> str | None:
    """Name in the largest network of a weight that timm calls by that one."""
    if found := _BLOCK.fullmatch(name):
        return f"{1 + int(found[1])}.{found[2]}"
    if name.startswith(("cls_token", "pos_embed", "patch_embed.")):
        return f"0.{name}"
    return f"{1 + _DEPTHS[-1]}.{name}" if name.startswith(("norm.", "head.")) else None
