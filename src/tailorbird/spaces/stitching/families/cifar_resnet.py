"""Residual networks of four depths for CIFAR-10."""

import re
from dataclasses import dataclass

from tailorbird.spaces.stitching.family import Part
from tailorbird.spaces.workload import Workload

_MODULES = "tailorbird.spaces.stitching.modules.cifar_resnet"
_SIDE = 32
_BLOCK = re.compile(r"layer([1-3])\.(\d+)\.((?:conv|bn)[12]\.\w+)")


@dataclass(frozen=True, slots=True)
class CifarResNet:
    """Anchors that differ in depth only, with shortcuts that have no weights (option A).

    Weights are placed by the names of akamaster/pytorch_resnet_cifar10, without `module.`.

    References:
        He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition. CVPR 2016.
    """

    batch: int
    anchors: tuple[str, ...] = ("r20", "r32", "r44", "r56")
    stages: tuple[tuple[int, ...], ...] = ((3, 3, 3), (5, 5, 5), (7, 7, 7), (9, 9, 9))
    widths: tuple[int, ...] = (16, 32, 64)
    n_classes: int = 10
    name: str = "cifar-resnet"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Three colours."""
        return (self.batch, 3, _SIDE, _SIDE)

    def workload(self, part: Part) -> Workload:
        """The workload of a part."""
        match part.kind:
            case "embedding":
                params = {"width": self.widths[0]}
                return _workload("cifar_embedding", params, self.input_shape, "Embedding")
            case "block":
                stage, i = self._blocks(part.anchor)[part.index]
                to, begins = self.widths[stage], i == 0 and stage > 0
                before = stage - begins
                width, side = self.widths[before], _SIDE >> before
                params = {"width": width, "to": to, "stride": 1 + begins}
                features = (self.batch, width, side, side)
                return _workload("cifar_block", params, features, "Block")
            case "head":
                width, side = self.widths[-1], _SIDE >> (len(self.widths) - 1)
                params = {"width": width, "classes": self.n_classes}
                return _workload("cifar_head", params, (self.batch, width, side, side), "Head")
        raise ValueError(f"A family has no workload for {part}.")

    def place(self, anchor: int, name: str) -> tuple[Part, str]:
        """The part that a weight of an anchor's state dict belongs to, and its name there."""
        if name.startswith(("conv1.", "bn1.")):
            return Part("embedding", anchor), name
        if name.startswith("linear."):
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


def _workload(op: str, params: dict[str, int], shape: tuple[int, ...], module: str) -> Workload:
    return Workload(op, tuple(params.items()), (shape,), f"{_MODULES}:{module}")
