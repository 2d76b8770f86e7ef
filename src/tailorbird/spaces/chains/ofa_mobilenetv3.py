"""Once-for-all's MobileNetV3s for ImageNet."""

from dataclasses import dataclass

import numpy as np

from tailorbird.spaces.chains.chain import Edge
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

_DEPTHS, _KERNELS, _EXPANSIONS = (2, 3, 4), (3, 5, 7), (3, 4, 6)
_SLOTS = 4
_STEM, _EXPANDED, _FEATURES = 16, 960, 1280
_STAGES = (  # width, stride, squeeze and excitation, h_swish
    (24, 2, 0, 0),
    (40, 2, 1, 0),
    (80, 2, 0, 1),
    (112, 1, 1, 1),
    (160, 2, 1, 1),
)


@dataclass(frozen=True, slots=True)
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
        depths, kernels, expansions = (
            tuple(map(str, choices)) for choices in (_DEPTHS, _KERNELS, _EXPANSIONS)
        )
        variables = []
        for stage in range(len(_STAGES)):
            variables.append(Variable(f"d{stage}", depths))
            for slot in range(_SLOTS * stage, _SLOTS * (stage + 1)):
                variables.append(Variable(f"ks{slot:02}", kernels))
                variables.append(Variable(f"e{slot:02}", expansions))
        return tuple(variables)

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
            mb_block(self._shape(0), stem, expand=1, kernel=3, stride=1),
        )

    @property
    def edges(self) -> tuple[tuple[Edge, ...], ...]:
        """Edges of each variable.

        States 0 to 4 are numbers of blocks that remain of a stage; the others know a kernel, too.
        """
        layers = []
        for stage in range(len(_STAGES)):
            layers.append(tuple(Edge(0, choice, depth) for choice, depth in enumerate(_DEPTHS)))
            for slot in range(_SLOTS):
                layers += self._slot(stage, slot)
        return tuple(layers)

    @property
    def last(self) -> tuple[Workload, ...]:
        """Workloads of three layers, two of them behind the mean over pixels."""
        expanded, features = self._width(_EXPANDED), self._width(_FEATURES)
        return (
            final_expand(self._shape(len(_STAGES)), expanded),
            feature_mix((self.batch, expanded, 1, 1), features),
            classifier(self.batch, features, self.n_classes),
        )

    def repair(self, X: IntArray) -> IntArray:
        """Sets the variables of unused slots to 0."""
        out = X.reshape(len(X), len(_STAGES), 1 + 2 * _SLOTS).copy()
        depth = np.array(_DEPTHS)[out[:, :, :1]]
        out[:, :, 1:][np.repeat(np.arange(_SLOTS), 2) >= depth] = 0
        return out.reshape(X.shape)

    def describe(self, row: IntArray) -> str:
        """Kernel and expansion of each block, by stage: `k3e4 k7e6 | …`."""
        stages = []
        for depth, *choices in np.asarray(row).reshape(len(_STAGES), -1):
            blocks = list(zip(choices[::2], choices[1::2], strict=True))[: _DEPTHS[depth]]
            stages.append(" ".join(f"k{_KERNELS[k]}e{_EXPANSIONS[e]}" for k, e in blocks))
        return " | ".join(stages)

    def _slot(self, stage: int, slot: int) -> list[tuple[Edge, ...]]:
        """Edges of the kernel and of the expansion of one slot."""
        remain = sorted({max(depth - slot, 0) for depth in _DEPTHS})
        unused = [Edge(0, 0, 0)] if 0 in remain else []
        kernels, expansions = list(unused), list(unused)
        for r in filter(None, remain):
            for k, kernel in enumerate(_KERNELS):
                kernels.append(Edge(r, k, _with_kernel(r, k)))
                for e, expand in enumerate(_EXPANSIONS):
                    block = self._block(stage, slot, kernel, expand)
                    expansions.append(Edge(_with_kernel(r, k), e, r - 1, (block,)))
        return [tuple(kernels), tuple(expansions)]

    def _block(self, stage: int, slot: int, kernel: int, expand: int) -> Workload:
        width, stride, se, h_swish = _STAGES[stage]
        return mb_block(
            self._shape(stage if slot == 0 else stage + 1),
            self._width(width),
            expand=expand,
            kernel=kernel,
            stride=stride if slot == 0 else 1,
            se=se,
            h_swish=h_swish,
        )

    def _shape(self, n_stages: int) -> Shape:
        """Shape behind the first stages."""
        shape = strided(self.input_shape, self._width(_STEM), 2)
        for width, stride, _, _ in _STAGES[:n_stages]:
            shape = strided(shape, self._width(width), stride)
        return shape

    def _width(self, width: int) -> int:
        return multiple_of_8(width * self.width_mult)


def _with_kernel(remain: int, kernel: int) -> int:
    """State in which `remain` >= 1 blocks remain and the next one's kernel is chosen."""
    return len(_KERNELS) * remain + kernel + 2
