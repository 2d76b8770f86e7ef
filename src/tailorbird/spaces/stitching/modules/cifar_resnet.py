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


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, which drops pixels and adds channels of zeros.

    References:
        He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition. CVPR 2016.
    """

    def __init__(self, width: int, to: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.margin = (to - width) // 2
        self.conv1 = nn.Conv2d(width, to, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(to)
        self.conv2 = nn.Conv2d(to, to, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(to)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, to, h / stride, w / stride)."""
        y: Tensor = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.margin:
            x = F.pad(x, (0, 0, 0, 0, self.margin, self.margin))
        return F.relu(x + y)
