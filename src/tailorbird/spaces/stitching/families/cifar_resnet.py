"""Residual networks of four depths for CIFAR-10."""

import re
from dataclasses import dataclass
from functools import partial

from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.spaces.stitching.families import residual_names
from tailorbird.spaces.stitching.family import Part, blocks_of
from tailorbird.spaces.workload import Workload, module_workload

_workload = partial(module_workload, "tailorbird.spaces.stitching.modules.cifar_resnet")
_HEADS = "tailorbird.spaces.stitching.modules.heads"
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
        """Shape (batch, 3, 32, 32) of colour images."""
        return (self.batch, 3, _SIDE, _SIDE)

    def preprocessing(self, anchor: int) -> Preprocessing:
        """How pictures became what the published weights of an anchor learned from."""
        return Preprocessing((_SIDE, _SIDE), crop=1.0)

    def workload(self, part: Part) -> Workload:
        """The workload of a part."""
        match part.kind:
            case "embedding":
                params = {"width": self.widths[0]}
                return _workload("Embedding", "cifar_embedding", params, self.input_shape)
            case "block":
                stage, i = blocks_of(self, part.anchor)[part.index]
                to, begins = self.widths[stage], i == 0 and stage > 0
                before = stage - begins
                width, side = self.widths[before], _SIDE >> before
                params = {"width": width, "to": to, "stride": 1 + begins}
                features = (self.batch, width, side, side)
                return _workload("Block", "cifar_block", params, features)
            case "head":
                width, side = self.widths[-1], _SIDE >> (len(self.widths) - 1)
                params = {"width": width, "classes": self.n_classes}
                features = (self.batch, width, side, side)
                return module_workload(_HEADS, "Head", "cifar_head", params, features)
        raise ValueError(f"A family has no workload for {part}.")

    def place(self, anchor: int, name: str) -> tuple[Part, str]:
        """The part that a weight of an anchor's state dict belongs to, and its name there.

        Raises:
            KeyError: if an anchor has no such weight.
        """
        return residual_names.place(self, anchor, name, _BLOCK, "linear.")

    def name_of(self, part: Part, inner: str) -> str:
        """The name of a part's weight in an anchor's state dict: what `place` takes."""
        return residual_names.name_of(self, part, inner)
