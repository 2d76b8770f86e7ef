"""Torch modules of ImageNet's residual networks. Activations are (n, channels, height, width)."""

import torch.nn.functional as F
from torch import Tensor, nn


class Embedding(nn.Module):
    """Colour image to `width` channels on a quarter of the grid."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, width, h / 4, w / 4)."""
        return F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, padding=1)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, width: int, inner: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, inner, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.downsample = _shortcut(width, inner, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, inner, h / stride, w / stride)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, and a shortcut; the 3x3 one has the stride."""

    def __init__(self, width: int, inner: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, inner * expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(inner * expansion)
        self.downsample = _shortcut(width, inner * expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, inner * expansion, h / stride, w / stride)."""
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class Head(nn.Module):
    """Mean over pixels, then one linear layer."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to logits (n, classes)."""
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


def _shortcut(width: int, to: int, stride: int) -> nn.Module:
    if width == to and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(width, to, 1, stride, bias=False), nn.BatchNorm2d(to))
