"""Elastic residual networks for small images, which supernets are trained of here."""

from functools import partial

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
