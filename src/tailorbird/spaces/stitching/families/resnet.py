"""ResNet-18 and ResNet-50 for ImageNet."""

import re
from dataclasses import dataclass
from functools import partial

from tailorbird.spaces.stitching.families import residual_names
from tailorbird.spaces.stitching.family import Part, blocks_of
from tailorbird.spaces.workload import Workload, module_workload

_workload = partial(module_workload, "tailorbird.spaces.stitching.modules.resnet")
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
        """Shape (batch, 3, side, side) of colour images."""
        return (self.batch, 3, self.side, self.side)

    def workload(self, part: Part) -> Workload:
        """The workload of a part."""
        expansion = self.expansions[part.anchor]
        match part.kind:
            case "embedding":
                params = {"width": _STEM}
                return _workload("Embedding", "resnet_embedding", params, self.input_shape)
            case "block":
                stage, i = blocks_of(self, part.anchor)[part.index]
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
                    return _workload("BasicBlock", "basic_block", params, features)
                params["expansion"] = expansion
                return _workload("Bottleneck", "bottleneck", params, features)
            case "head":
                last = len(self.stages[part.anchor]) - 1
                width, grid = (_STEM << last) * expansion, self._grid(last)
                params = {"width": width, "classes": self.n_classes}
                features = (self.batch, width, grid, grid)
                return _workload("Head", "resnet_head", params, features)
        raise ValueError(f"A family has no workload for {part}.")

    def place(self, anchor: int, name: str) -> tuple[Part, str]:
        """The part that a weight of an anchor's state dict belongs to, and its name there.

        Raises:
            KeyError: if an anchor has no such weight.
        """
        return residual_names.place(self, anchor, name, _BLOCK, "fc.")

    def name_of(self, part: Part, inner: str) -> str:
        """The name of a part's weight in an anchor's state dict: what `place` takes."""
        return residual_names.name_of(self, part, inner)

    def _grid(self, stage: int) -> int:
        """Pixels along a side behind a stage; each halving rounds up."""
        return -(-self.side // (4 << stage))
