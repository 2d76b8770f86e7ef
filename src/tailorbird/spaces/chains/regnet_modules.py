"""Torch module of RegNet's blocks. Activations are (n, channels, height, width)."""

import torch.nn.functional as F
from torch import Tensor, nn

from tailorbird.spaces.chains.modules import ConvNorm


class RegNetBlock(nn.Module):
    """Two 1x1 convolutions around a 3x3 one in groups of channels, and a shortcut.

    The shortcut is a 1x1 convolution where the shape changes.

    References:
        Radosavovic, Kosaraju, Girshick, He, Dollár: Designing Network Design Spaces. CVPR 2020 (the
        X block).
    """

    def __init__(self, width: int, to: int, stride: int, group: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, to)
        self.grouped = ConvNorm(to, to, 3, stride, groups=to // group)
        self.last = ConvNorm(to, to)
        has_shape = stride == 1 and width == to
        self.shortcut = nn.Identity() if has_shape else ConvNorm(width, to, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, to, h / stride, w / stride)."""
        y: Tensor = F.relu(self.grouped(F.relu(self.first(x))))
        return F.relu(self.last(y) + self.shortcut(x))
