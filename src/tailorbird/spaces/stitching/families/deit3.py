"""Data-efficient image transformers of the third kind, S and L, on images of 224 pixels."""

from dataclasses import dataclass

from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.spaces.stitching.families import vision_transformer
from tailorbird.spaces.stitching.families.vision_transformer import VisionTransformer
from tailorbird.spaces.stitching.family import Part
from tailorbird.spaces.workload import Workload

_DESIGN = VisionTransformer(
    ("patch_position_embedding", "PatchPositionEmbedding"),
    ("scaled_vit_block", "ScaledBlock"),
    ("ls1.gamma", "ls2.gamma"),
)


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
        """One stage, of a depth for each anchor."""
        return tuple((depth,) for depth in self.depths)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (batch, 3, side, side) of colour images."""
        return (self.batch, 3, self.side, self.side)

    def preprocessing(self, anchor: int) -> Preprocessing:
        """How pictures became what the published weights of an anchor learned from."""
        return Preprocessing((self.side, self.side), crop=0.9)

    def workload(self, part: Part) -> Workload:
        """The workload of a part."""
        return _DESIGN.workload(self, part, self.widths[part.anchor], self.heads[part.anchor])

    def place(self, anchor: int, name: str) -> tuple[Part, str]:
        """Part of a weight of timm's `deit3_*_patch16_224`, and its name there.

        Raises:
            KeyError: if an anchor has no such weight.
        """
        return _DESIGN.place(anchor, self.depths[anchor], name)

    def name_of(self, part: Part, inner: str) -> str:
        """The name of a part's weight in an anchor's state dict: what `place` takes."""
        return vision_transformer.name_of(part, inner)
