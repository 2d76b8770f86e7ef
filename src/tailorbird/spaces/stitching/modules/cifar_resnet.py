"""Torch modules of residual networks for CIFAR. Activations are (n, channels, height, width)."""

import torch.nn.functional as F
from torch import Tensor, nn


class Embedding(nn.Module):
    """Colour image to `width` channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, width, h, w)."""
        return F.relu(self.bn1(self.conv1(x)))


class SizedBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which drops pixels and adds channels of zeros.

    Between the convolutions there are `inner` times `to` channels.

    References:
        He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition. CVPR 2016.
    """

    def __init__(self, width: int, to: int, stride: int, inner: float) -> None:
        super().__init__()
        between = max(1, round(inner * to))
        self.stride = stride
        self.margin = (to - width) // 2
        self.conv1 = nn.Conv2d(width, between, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(between)
        self.conv2 = nn.Conv2d(between, to, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(to)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, to, h / stride, w / stride)."""
        y: Tensor = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.margin:
            x = F.pad(x, (0, 0, 0, 0, self.margin, self.margin))
        return F.relu(x + y)


class Block(SizedBlock):
    """A block with as many channels inside as come out."""

    def __init__(self, width: int, to: int, stride: int) -> None:
        super().__init__(width, to, stride, inner=1)
