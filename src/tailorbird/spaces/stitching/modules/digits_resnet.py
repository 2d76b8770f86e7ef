"""Torch modules of residual networks. Activations are (n, width, height, width of the image)."""

import torch.nn.functional as F
from torch import Tensor, nn


def _conv_bn(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out))


class Embedding(nn.Module):
    """Grey image to `width` channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = _conv_bn(1, width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, h, w) to (n, width, h, w)."""
        return F.relu(self.conv(x))


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut.

    References:
        He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition. CVPR 2016.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv_bn(width, width)
        self.second = _conv_bn(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape (n, width, h, w)."""
        return F.relu(x + self.second(F.relu(self.first(x))))
