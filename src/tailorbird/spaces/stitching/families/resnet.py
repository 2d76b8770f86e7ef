"""ResNet-18 and ResNet-50 for ImageNet."""

import re
from dataclasses import dataclass

from tailorbird.spaces.stitching.family import Part
from tailorbird.spaces.workload import Workload

_MODULES = "tailorbird.spaces.stitching.modules.resnet"
_STEM = 64
_BLOCK = re.compile(r"layer([1-4])\.(\d+)\.((?:conv[123]|bn[123]|downsample\.[01])\.\w+)")


@dataclass(frozen=True, slots=True)
class ResNet:
    """Anchors that differ in depth and in their blocks; weights are placed by timm's names.

    Attributes:
        expansions: output channels of a block by those of its 3x3 convolutions; 1 for basic
            blocks, more for bottlenecks.

    References:
        He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition. CVPR 2016.
    """

    batch: int
    anchors: tuple[str, ...] = ("r18", "r50")
    stages: tuple[tuple[int, ...], ...] = ((2, 2, 2, 2), (3, 4, 6, 3))
    expansions: tuple[int, ...] = (1, 4)
    side: int = 224
    n_classes: int = 1000
    name: str = "resnet-18-50"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Three colours."""
        return (self.batch, 3, self.side, self.side)

    def workload(self, part: Part) -> Workload:
        """The workload of a part."""
        expansion = self.expansions[part.anchor]
        match part.kind:
            case "embedding":
                params = {"width": _STEM}
                return _workload("resnet_embedding", params, self.input_shape, "Embedding")
            case "block":
                stage, i = self._blocks(part.anchor)[part.index]
                inner = _STEM << stage
                if i > 0:
                    width, grid = inner * expansion, self._grid(stage)
                else:
                    width = inner // 2 * expansion if stage else _STEM
                    grid = self._grid(max(stage - 1, 0))
                stride = 2 if i == 0 and stage else 1
                params = {"width": width, "inner": inner, "stride": stride}
                features = (self.batch, width, grid, grid)
                if expansion == 1:
                    return _workload("basic_block", params, features, "BasicBlock")
                params["expansion"] = expansion
                return _workload("bottleneck", params, features, "Bottleneck")
            case "head":
                last = len(self.stages[part.anchor]) - 1
                width, grid = (_STEM << last) * expansion, self._grid(last)
                params = {"width": width, "classes": self.n_classes}
                return _workload("resnet_head", params, (self.batch, width, grid, grid), "Head")
        raise ValueError(f"A family has no workload for {part}.")

    def place(self, anchor: int, name: str) -> tuple[Part, str]:
        """The part that a weight of an anchor's state dict belongs to, and its name there."""
        if name.startswith(("conv1.", "bn1.")):
            return Part("embedding", anchor), name
        if name.startswith("fc."):
            return Part("head", anchor), name
        blocks = self._blocks(anchor)
        if found := _BLOCK.fullmatch(name):
            block = int(found[1]) - 1, int(found[2])
            if block in blocks:
                return Part("block", anchor, blocks.index(block)), found[3]
        raise KeyError(name)

    def name_of(self, part: Part, inner: str) -> str:
        """The name of a part's weight in an anchor's state dict: what `place` takes."""
        if part.kind != "block":
            return inner
        stage, i = self._blocks(part.anchor)[part.index]
        return f"layer{stage + 1}.{i}.{inner}"

    def _blocks(self, anchor: int) -> list[tuple[int, int]]:
        """(stage, number in it) of each block."""
        return [(s, i) for s, depth in enumerate(self.stages[anchor]) for i in range(depth)]

    def _grid(self, stage: int) -> int:
        """Pixels along a side behind a stage; each halving rounds up."""
        return -(-self.side // (4 << stage))


def _workload(op: str, params: dict[str, int], shape: tuple[int, ...], module: str) -> Workload:
    return Workload(op, tuple(params.items()), (shape,), f"{_MODULES}:{module}")
