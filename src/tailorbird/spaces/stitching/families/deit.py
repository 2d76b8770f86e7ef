"""Data-efficient image transformers Ti, S and B on images of 224 pixels."""

from dataclasses import dataclass

from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.spaces.stitching.families import vision_transformer
from tailorbird.spaces.stitching.families.vision_transformer import VisionTransformer
from tailorbird.spaces.stitching.family import Part
from tailorbird.spaces.workload import Workload

_DESIGN = VisionTransformer(("patch_embedding", "PatchEmbedding"), ("vit_block", "Block"))


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
        """One stage, as deep in every anchor."""
        return ((self.depth,),) * len(self.widths)

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
        """Part of a weight of timm's `deit_*_patch16_224`, and its name there.

        Raises:
            KeyError: if an anchor has no such weight.
        """
        return _DESIGN.place(anchor, self.depth, name)

    def name_of(self, part: Part, inner: str) -> str:
        """The name of a part's weight in an anchor's state dict: what `place` takes."""
        return vision_transformer.name_of(part, inner)
