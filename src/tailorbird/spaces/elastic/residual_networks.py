"""Elastic residual networks for small images, which supernets are trained of here."""

import re
from functools import partial
from typing import Literal

from tailorbird.spaces.elastic.space import Elastic
from tailorbird.spaces.elastic.stage import Stage

_INNER = (0.5, 1.0)


def digits_elastic(batch: int, n_classes: int = 10) -> Elastic:
    """Networks for scikit-learn's digits: 3 to 6 blocks of 8, 16 or 32 channels, 360 in all.

    The largest has some 60 times the multiply-adds of the smallest.

    Args:
        batch: batch size.
        n_classes: of the head.
    """
    from tailorbird.spaces.elastic.modules import ElasticResidualBlock, ResidualStem
    from tailorbird.spaces.stitching.modules.heads import Head

    return Elastic(
        f"digits-elastic(n_classes={n_classes})",
        (batch, 1, 8, 8),
        partial(ResidualStem, channels=1, to=8),
        [Stage(ElasticResidualBlock, to=(8, 16, 32), depth=(3, 4, 5, 6), inner=_INNER)],
        partial(Head, classes=n_classes),
    )


def cifar_elastic(batch: int, n_classes: int = 10) -> Elastic:
    """Networks for CIFAR: three stages of 1 to 3 blocks, of 16, 32 and 64 channels.

    Blocks have a quarter, a half or all of their channels inside.

    Args:
        batch: batch size.
        n_classes: of the head.
    """
    from tailorbird.spaces.elastic.modules import ElasticResidualBlock, ResidualStem
    from tailorbird.spaces.stitching.modules.heads import Head

    stage = partial(Stage, ElasticResidualBlock, depth=(1, 2, 3), inner=(0.25, *_INNER))
    return Elastic(
        f"cifar-elastic(n_classes={n_classes})",
        (batch, 3, 32, 32),
        partial(ResidualStem, channels=3, to=16),
        [stage(to=16), stage(to=32, stride=2), stage(to=64, stride=2)],
        partial(Head, classes=n_classes),
    )


def elastic_resnet(
    batch: int, n_layers: Literal[20, 32, 44, 56] = 20, n_classes: int = 10
) -> Elastic:
    """Residual networks for CIFAR as published, of which the channels inside blocks are elastic.

    Blocks have a quarter to all of their channels inside, and the last block of each stage may be
    left out. The largest network is the published one, and takes its weights by the names of
    akamaster/pytorch_resnet_cifar10.

    Args:
        batch: batch size.
        n_layers: of the largest network, 2 in each block and 2 more.
        n_classes: of the head.

    References:
        He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition. CVPR 2016.
    """
    from tailorbird.spaces.stitching.modules.cifar_resnet import Embedding, SizedBlock
    from tailorbird.spaces.stitching.modules.heads import Head

    n_blocks = (n_layers - 2) // 6
    inner = (0.25, 0.5, 0.75, 1.0)
    stage = partial(Stage, SizedBlock, depth=(n_blocks - 1, n_blocks), inner=inner)
    return Elastic(
        f"elastic-resnet(n_layers={n_layers},n_classes={n_classes})",
        (batch, 3, 32, 32),
        partial(Embedding, width=16),
        [stage(to=16), stage(to=32, stride=2), stage(to=64, stride=2)],
        partial(Head, classes=n_classes),
        names=partial(_published_name, n_blocks=n_blocks),
    )


_BLOCK = re.compile(r"layer([1-3])\.(\d+)\.(.+)")


def _published_name(name: str, n_blocks: int) -> str | None:
    """Name here of a weight of akamaster/pytorch_resnet_cifar10."""
    if found := _BLOCK.fullmatch(name):
        return f"{1 + (int(found[1]) - 1) * n_blocks + int(found[2])}.{found[3]}"
    if name.startswith("linear."):
        return f"{1 + 3 * n_blocks}.{name}"
    return f"0.{name}" if name.startswith(("conv1.", "bn1.")) else None
