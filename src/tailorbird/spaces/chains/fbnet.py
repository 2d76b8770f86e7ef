"""FBNets for CIFAR-100, as HW-NAS-Bench has them."""

import numpy as np

from tailorbird.spaces.chains.operator_layers import OperatorLayers, Options, options_of
from tailorbird.spaces.chains.workloads import (
    Shape,
    first_conv,
    grouped_block,
    mb_head,
    projection,
    strided,
)
from tailorbird.spaces.space import IntArray

_SIDE = 32
_STEM, _FEATURES = 16, 1504
_STAGES = (  # depth, width, stride
    (1, 16, 1),
    (4, 24, 1),
    (4, 32, 2),
    (4, 64, 2),
    (4, 112, 1),
    (4, 184, 2),
    (1, 352, 1),
)
_BLOCKS = {  # kernel, expand, groups
    "k3_e1": (3, 1, 1),
    "k3_e1_g2": (3, 1, 2),
    "k3_e3": (3, 3, 1),
    "k3_e6": (3, 6, 1),
    "k5_e1": (5, 1, 1),
    "k5_e1_g2": (5, 1, 2),
    "k5_e3": (5, 3, 1),
    "k5_e6": (5, 6, 1),
}
_CHOICES = (*_BLOCKS, "skip")


def fbnet_layout(batch: int, n_classes: int = 100) -> OperatorLayers:
    """22 layers in seven stages; a skip that changes the shape is a 1x1 convolution.

    References:
        Wu, Dai, Zhang, Wang, Sun, Wu, et al.: FBNet: Hardware-Aware Efficient ConvNet Design
        via Differentiable Neural Architecture Search. CVPR 2019.
        Li, Yu, Fu, Zhang, Zhao, You, Yu, Wang, Lin: HW-NAS-Bench: Hardware-Aware Neural
        Architecture Search Benchmark. ICLR 2021.
    """
    image = (batch, 3, _SIDE, _SIDE)
    stages, shape = options_of(strided(image, _STEM, 1), _STAGES, _options)
    n_layers = sum(map(len, stages))
    return OperatorLayers(
        name=f"fbnet(n_classes={n_classes})",
        layer_names=tuple(f"l{i:02}" for i in range(n_layers)),
        choices=_CHOICES,
        input_shape=image,
        first=(first_conv(image, _STEM, stride=1, h_swish=0),),
        stages=stages,
        last=((mb_head(shape, _FEATURES, n_classes),),),
        landmarks=_landmarks(n_layers),
    )


def _options(shape: Shape, to: int, stride: int) -> Options:
    keeps_shape = strided(shape, to, stride) == shape
    return (
        *(
            (grouped_block(shape, to, expand=e, kernel=k, stride=stride, groups=g),)
            for k, e, g in _BLOCKS.values()
        ),
        () if keeps_shape else (projection(shape, to, stride=stride, relu=1),),
    )


def _landmarks(n_layers: int) -> IntArray:
    """One network of each block throughout, and the one of fewest multiply-adds."""
    uniform = np.repeat(np.arange(len(_CHOICES)), n_layers).reshape(-1, n_layers)
    smallest = np.full((1, n_layers), _CHOICES.index("skip"))
    # Where widths grow on an equal grid, two groups cost less than the convolution of a skip.
    smallest[0, [13, 21]] = _CHOICES.index("k3_e1_g2")
    return np.vstack([uniform, smallest])
