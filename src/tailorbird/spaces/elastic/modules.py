"""Torch modules of elastic residual networks. Activations are (n, channels, height, width)."""

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualStem(nn.Module):
    """A 3x3 convolution of the image."""

    def __init__(self, channels: int, to: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, to, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(to)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to (n, to, h, w)."""
        return F.relu(self.norm(self.conv(x)))


class ElasticResidualBlock(nn.Module):
    """Two 3x3 convolutions with `inner` times `to` channels between them, and a shortcut.

    The shortcut is a 1x1 convolution where the shape changes.

    References:
        He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition. CVPR 2016.
    """

    def __init__(self, width: int, to: int, stride: int, inner: float) -> None:
        super().__init__()
        between = max(1, round(inner * to))
        self.first = nn.Conv2d(width, between, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(between)
        self.second = nn.Conv2d(between, to, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(to)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or width != to:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width, to, 1, stride, bias=False), nn.BatchNorm2d(to)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, to, h / stride, w / stride)."""
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.shortcut(x) + self.second_norm(self.second(y)))
