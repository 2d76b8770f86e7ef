"""Elastic mobile networks, in which each block is of one of three designs."""

from functools import partial

from tailorbird.spaces.elastic.space import Elastic
from tailorbird.spaces.elastic.stage import Stage

_STEM, _FEATURES = 16, 960
_STAGES = ((24, 0), (48, 0), (96, 1), (160, 1))  # width, hard swish in blocks of MobileNetV3
_HALVINGS = 1 + len(_STAGES)  # of the grid, by the stem and each stage


def mobile_elastic(batch: int, resolution: int = 224, n_classes: int = 1000) -> Elastic:
    """Four stages of 1 to 3 blocks, each as in MobileNetV3, in MobileNetV4 or in FasterNet.

    Blocks of MobileNetV3 choose expansion, kernel, and squeeze-and-excitation or none; those of
    MobileNetV4 their depthwise convolutions. A stage's first block halves the grid; it is a stage
    of its own here, since a feed-forward block of MobileNetV4 cannot do that.

    Args:
        batch: batch size.
        resolution: pixels along a side.
        n_classes: of the head.

    Raises:
        ValueError: if the grid cannot be halved five times.

    References:
        Howard, Sandler, Chu, Chen, Chen, Tan, et al.: Searching for MobileNetV3. ICCV 2019.
        Qin, Leichner, Delakis, Fornoni, Luo, Yang, et al.: MobileNetV4: Universal Models for the
        Mobile Ecosystem. ECCV 2024.
        Chen, Kao, He, Zhuo, Wen, Lee, Chan: Run, Don't Walk: Chasing Higher FLOPS for Faster Neural
        Networks. CVPR 2023.
    """
    from tailorbird.spaces.chains.modules import FirstConv, Head, MobileBlock
    from tailorbird.spaces.elastic.mobile_modules import FasterBlock, UniversalBottleneck

    if resolution < 1 or resolution % 2**_HALVINGS:
        raise ValueError(
            f"`resolution` must be a multiple of {2**_HALVINGS}, since the grid is halved "
            f"{_HALVINGS} times, but got {resolution}."
        )
    stages = []
    for width, h_swish in _STAGES:
        blocks = (
            partial(MobileBlock, h_swish=h_swish, expand=(3, 6)),  # type: ignore[arg-type]  # a choice
            partial(UniversalBottleneck, expand=4),
            partial(FasterBlock, hidden=2),
        )
        stage = partial(Stage, blocks, to=width, kernel=(3, 5), se=(0, 1), first=(0, 3))
        stages += [stage(stride=2, middle=(3, 5)), stage(depth=(0, 1, 2), middle=(0, 3, 5))]
    return Elastic(
        f"mobile-elastic(resolution={resolution},n_classes={n_classes})",
        (batch, 3, resolution, resolution),
        partial(FirstConv, to=_STEM, stride=2, h_swish=1),
        stages,
        partial(Head, features=_FEATURES, classes=n_classes),
    )
