"""Torch modules of stitching layers."""

from torch import nn


class TokenStitch(nn.Linear):
    """A linear layer from one anchor's tokens to another's, (n, tokens, width)."""

    def __init__(self, width: int, to: int) -> None:
        super().__init__(width, to)


class MapStitch(nn.Conv2d):
    """A 1x1 convolution from one anchor's channels to another's, (n, channels, height, width)."""

    def __init__(self, width: int, to: int) -> None:
        super().__init__(width, to, 1)
