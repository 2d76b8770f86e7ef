"""NAS-Bench-Macro's MobileNetV2s for CIFAR-10."""

import numpy as np

from tailorbird.spaces.chains.operator_layers import OperatorLayers, Options, options_of
from tailorbird.spaces.chains.workloads import (
    Shape,
    first_conv,
    mb_block,
    mb_head,
    projection,
    strided,
)

_SIDE = 32
_STEM, _FEATURES = 32, 1280
_STAGES = ((2, 64, 2), (3, 128, 2), (3, 256, 2))  # depth, width, stride
_CHOICES = ("Identity", "MB3_K3", "MB6_K5")


def macro_mobilenetv2_layout(batch: int, n_classes: int = 10) -> OperatorLayers:
    """Eight layers in three stages; an Identity that begins a stage is a 1x1 convolution.

    References:
        Su, Huang, Li, You, Wang, Qian, Zhang, Xu: Prioritized Architecture Sampling with
        Monto-Carlo Tree Search. CVPR 2021.
    """
    image = (batch, 3, _SIDE, _SIDE)
    stages, shape = options_of(strided(image, _STEM, 1), _STAGES, _options)
    n_layers = sum(map(len, stages))
    return OperatorLayers(
        name=f"macro-mobilenetv2(n_classes={n_classes})",
        layer_names=tuple(f"l{i}" for i in range(n_layers)),
        choices=_CHOICES,
        input_shape=image,
        first=(first_conv(image, _STEM, stride=1, h_swish=0),),
        stages=stages,
        last=((mb_head(shape, _FEATURES, n_classes),),),
        landmarks=np.repeat(np.arange(len(_CHOICES)), n_layers).reshape(-1, n_layers),
    )


def _options(shape: Shape, to: int, stride: int) -> Options:
    keeps_shape = strided(shape, to, stride) == shape
    return (
        () if keeps_shape else (projection(shape, to, stride=stride, relu=0),),
        (mb_block(shape, to, expand=3, kernel=3, stride=stride),),
        (mb_block(shape, to, expand=6, kernel=5, stride=stride),),
    )
