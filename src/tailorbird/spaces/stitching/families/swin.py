"""Transformers with shifted windows, Ti, S and B, on images of 224 pixels."""

from dataclasses import dataclass
from functools import cache, partial

from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.spaces.stitching.family import Part, blocks_of
from tailorbird.spaces.workload import Workload, module_workload

_workload = partial(module_workload, "tailorbird.spaces.stitching.modules.swin")
_PATCH = 4
_WINDOW = 7
_MLP_RATIO = 4
_KINDS = ("weight", "bias")
_EMBEDDING = tuple(f"patch_embed.{layer}.{kind}" for layer in ("proj", "norm") for kind in _KINDS)
_LAYERS = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
_BLOCK = (
    *(f"{layer}.{kind}" for layer in _LAYERS for kind in _KINDS),
    "attn.relative_position_bias_table",
)
_MERGE = ("norm.weight", "norm.bias", "reduction.weight")
_HEAD = ("norm.weight", "norm.bias", "head.fc.weight", "head.fc.bias")


@dataclass(frozen=True, slots=True)
class Swin:
    """Anchors that differ in depth, or in width and in number of heads.

    A stage halves the grid of the one before it and doubles the width. Every second block shifts
    its windows, unless one window holds the whole grid.

    References:
        Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo: Swin Transformer: Hierarchical Vision Transformer
        using Shifted Windows. ICCV 2021.
    """

    batch: int
    anchors: tuple[str, ...] = ("ti", "s", "b")
    stages: tuple[tuple[int, ...], ...] = ((2, 2, 6, 2), (2, 2, 18, 2), (2, 2, 18, 2))
    widths: tuple[int, ...] = (96, 96, 128)
    heads: tuple[int, ...] = (3, 3, 4)
    side: int = 224
    n_classes: int = 1000
    name: str = "swin-ti-s-b"

    def __post_init__(self) -> None:
        multiple = _PATCH * 2 ** (len(self.stages[0]) - 1)
        if self.side % multiple:
            raise ValueError(f"`side` must be a multiple of {multiple}, but got {self.side}.")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (batch, 3, side, side) of colour images."""
        return (self.batch, 3, self.side, self.side)

    def preprocessing(self, anchor: int) -> Preprocessing:
        """How pictures became what the published weights of an anchor learned from."""
        return Preprocessing((self.side, self.side), crop=0.9)

    def workload(self, part: Part) -> Workload:
        """The workload of a part."""
        match part.kind:
            case "embedding":
                params = {"width": self.widths[part.anchor], "side": self.side, "patch": _PATCH}
                return _workload("Embedding", "swin_embedding", params, self.input_shape)
            case "block":
                return self._block(part)
            case "head":
                last = len(self.stages[part.anchor]) - 1
                tokens = self._tokens(part.anchor, last)
                params = {"width": tokens[-1], "classes": self.n_classes}
                return _workload("Head", "swin_head", params, tokens)
        raise ValueError(f"A family has no workload for {part}.")

    def place(self, anchor: int, name: str) -> tuple[Part, str]:
        """Part of a weight of timm's `swin_*_patch4_window7_224`, and its name there.

        Raises:
            KeyError: if an anchor has no such weight.
        """
        return _places(self.stages[anchor], anchor)[name]

    def name_of(self, part: Part, inner: str) -> str:
        """The name of a part's weight in an anchor's state dict: what `place` takes."""
        if part.kind != "block":
            return f"head.{inner}" if inner.startswith("fc.") else inner
        stage, number = blocks_of(self, part.anchor)[part.index]
        if inner.startswith("downsample."):
            return f"layers.{stage}.{inner}"
        return f"layers.{stage}.blocks.{number}.{inner.removeprefix('block.')}"

    def _block(self, part: Part) -> Workload:
        stage, number = blocks_of(self, part.anchor)[part.index]
        grid = self._grid(stage)
        params = {
            "width": self.widths[part.anchor] << stage,
            "heads": self.heads[part.anchor] << stage,
            "side": grid,
            "window": min(_WINDOW, grid),
            "shift": _WINDOW // 2 if number % 2 and grid > _WINDOW else 0,
            "mlp_ratio": _MLP_RATIO,
        }
        if stage and not number:
            before = self._tokens(part.anchor, stage - 1)
            return _workload("MergingBlock", "swin_merging_block", params, before)
        tokens = self._tokens(part.anchor, stage)
        return _workload("Block", "swin_block", params, tokens)

    def _grid(self, stage: int) -> int:
        """Tokens along one side of a stage's grid."""
        return self.side // _PATCH >> stage

    def _tokens(self, anchor: int, stage: int) -> tuple[int, ...]:
        """Shape (batch, tokens, width) between the blocks of a stage."""
        return (self.batch, self._grid(stage) ** 2, self.widths[anchor] << stage)


@cache
def _places(depths: tuple[int, ...], anchor: int) -> dict[str, tuple[Part, str]]:
    """Part of each weight of an anchor of such stages, and name there, by timm's name."""
    places = {name: (Part("embedding", anchor), name) for name in _EMBEDDING}
    places |= {name: (Part("head", anchor), name.removeprefix("head.")) for name in _HEAD}
    first = 0
    for stage, depth in enumerate(depths):
        layer = f"layers.{stage}"
        if stage:
            merging = Part("block", anchor, first)
            places |= {
                f"{layer}.downsample.{name}": (merging, f"downsample.{name}") for name in _MERGE
            }
        places |= {
            f"{layer}.blocks.{i}.{name}": (Part("block", anchor, first + i), f"block.{name}")
            for i in range(depth)
            for name in _BLOCK
        }
        first += depth
    return places
