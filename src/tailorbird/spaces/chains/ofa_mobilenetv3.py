"""Once-for-all's MobileNetV3s for ImageNet."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from tailorbird.spaces.chains.chain import Edge
from tailorbird.spaces.chains.stage_paths import StagePaths
from tailorbird.spaces.chains.width import multiple_of_8
from tailorbird.spaces.chains.workloads import (
    Shape,
    classifier,
    feature_mix,
    final_expand,
    first_conv,
    mb_block,
    strided,
)
from tailorbird.spaces.space import IntArray, Variable
from tailorbird.spaces.workload import Workload

_SLOTS = 4  # of each stage
_STEM, _EXPANDED, _FEATURES = 16, 960, 1280


@dataclass(frozen=True, slots=True)
class _Stage:
    width: int
    stride: int
    se: int
    h_swish: int
    depths: ClassVar = (2, 3, 4)
    shared: ClassVar[dict[str, tuple[int, ...]]] = {}
    options: ClassVar = {"ks": (3, 5, 7), "e": (3, 4, 6)}

    def uses(self, name: str, values: tuple[int, ...]) -> bool:
        """True, of every option."""
        return True

    def block(self, shape: Shape, slot: int, values: tuple[int, ...]) -> tuple[Workload, Shape]:
        """Workload of a block of some kernel and expansion, and the shape of its output."""
        kernel, expand = values
        stride = self.stride if slot == 0 else 1
        workload = mb_block(
            shape,
            self.width,
            expand=expand,
            kernel=kernel,
            stride=stride,
            se=self.se,
            h_swish=self.h_swish,
        )
        return workload, strided(shape, self.width, stride)


_STAGES = (
    _Stage(24, 2, se=0, h_swish=0),
    _Stage(40, 2, se=1, h_swish=0),
    _Stage(80, 2, se=0, h_swish=1),
    _Stage(112, 1, se=1, h_swish=1),
    _Stage(160, 2, se=1, h_swish=1),
)


@dataclass(frozen=True)
class OFAMobileNetV3:
    """Five stages of two to four blocks with a kernel and an expansion each.

    Variables are in the order of the stages: depth, then kernel and expansion of its four slots;
    those of slots behind the depth are 0 in canonical rows. The 1x1 convolution behind the last
    stage has the mean over pixels in its workload.

    Attributes:
        batch: batch size.
        resolution: pixels along a side.
        width_mult: factor of all widths; the authors trained supernets of 1.0 and 1.2.
        n_classes: of the last layer.

    References:
        Cai, Gan, Wang, Zhang, Han: Once-for-All: Train One Network and Specialize it for
        Efficient Deployment. ICLR 2020.
    """

    batch: int
    resolution: int = 224
    width_mult: float = 1.0
    n_classes: int = 1000

    def __post_init__(self) -> None:
        if self.width_mult not in (1.0, 1.2):
            raise ValueError(f"`width_mult` must be 1.0 or 1.2, but got {self.width_mult}.")
        if self.resolution % 4 or not 96 <= self.resolution <= 256:
            raise ValueError(
                "`resolution` must be a multiple of 4 from 96 to 256, which is what the supernets "
                f"are made for, but got {self.resolution}."
            )

    @property
    def name(self) -> str:
        """Name with all settings except the batch size."""
        return (
            f"ofa-mobilenetv3(width_mult={self.width_mult},resolution={self.resolution},"
            f"n_classes={self.n_classes})"
        )

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Variables `d0`, `ks00`, `e00`, `ks01` to `e03`, then `d1` and so on."""
        names = []
        for stage in range(len(_STAGES)):
            slots = range(_SLOTS * stage, _SLOTS * (stage + 1))
            names += [f"d{stage}", *(f"{gene}{slot:02}" for slot in slots for gene in ("ks", "e"))]
        return tuple(
            replace(v, name=name) for v, name in zip(self._paths.variables, names, strict=True)
        )

    @property
    def input_shape(self) -> Shape:
        """Shape (batch, 3, resolution, resolution) of colour images."""
        return (self.batch, 3, self.resolution, self.resolution)

    @property
    def landmarks(self) -> IntArray:
        """The smallest network, that of all middle choices, and the largest, (3, 45)."""
        return self.repair(np.repeat(np.arange(3), len(self.variables)).reshape(3, -1))

    @property
    def first(self) -> tuple[Workload, ...]:
        """Workloads of the first convolution and of a block that is the same in all networks."""
        stem = self._width(_STEM)
        return (
            first_conv(self.input_shape, stem, stride=2, h_swish=1),
            mb_block(self._stem_shape, stem, expand=1, kernel=3, stride=1),
        )

    @property
    def edges(self) -> tuple[tuple[Edge, ...], ...]:
        """Edges of each variable."""
        return self._paths.edges

    @property
    def last(self) -> tuple[tuple[Workload, ...]]:
        """Workloads of three layers, two of them behind the mean over pixels."""
        expanded, features = self._width(_EXPANDED), self._width(_FEATURES)
        (shape,) = self._paths.ends
        layers = (
            final_expand(shape, expanded),
            feature_mix((self.batch, expanded, 1, 1), features),
            classifier(self.batch, features, self.n_classes),
        )
        return (layers,)

    def repair(self, X: IntArray) -> IntArray:
        """Sets the variables of unused slots to 0."""
        return self._paths.repair(X)

    def describe(self, row: IntArray) -> str:
        """Kernel and expansion of each block, by stage: `k3e4 k7e6 | …`."""
        stages = self._paths.blocks(row)
        return " | ".join(" ".join(f"k{k}e{e}" for k, e in blocks) for blocks in stages)

    @cached_property
    def _paths(self) -> StagePaths:
        stages = [replace(stage, width=self._width(stage.width)) for stage in _STAGES]
        return StagePaths(self._stem_shape, stages)

    @property
    def _stem_shape(self) -> Shape:
        return strided(self.input_shape, self._width(_STEM), 2)

    def _width(self, width: int) -> int:
        return multiple_of_8(width * self.width_mult)
