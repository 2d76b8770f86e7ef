"""Torch modules of elastic mobile networks. Activations are (n, channels, height, width)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tailorbird.spaces.chains.modules import ConvNorm
from tailorbird.spaces.chains.width import multiple_of_8

_PARTS = 4  # of the channels, one of which is convolved


class UniversalBottleneck(nn.Module):
    """More channels and fewer again, with a depthwise convolution before, between, both or none.

    A kernel of 0 leaves one out: with `first` alone it is a ConvNeXt-like block, with `middle`
    alone an inverted bottleneck, with both an extra depthwise one, without any a feed-forward one.

    References:
        Qin, Leichner, Delakis, Fornoni, Luo, Yang, et al.: MobileNetV4: Universal Models for the
        Mobile Ecosystem. ECCV 2024.
    """

    def __init__(
        self, width: int, to: int, stride: int, expand: int, first: int, middle: int
    ) -> None:
        super().__init__()
        if stride > 1 and not (first or middle):
            raise ValueError(
                "A feed-forward block must keep the grid, since only depthwise convolutions have "
                f"strides, but `stride` is {stride}. Give `first` or `middle` a kernel."
            )
        inner = multiple_of_8(width * expand)
        self.has_shortcut = stride == 1 and width == to
        self.has_first, self.has_middle = first > 0, middle > 0
        if self.has_first:
            self.first = ConvNorm(width, width, first, 1 if middle else stride, groups=width)
        self.expand = ConvNorm(width, inner)
        if self.has_middle:
            self.middle = ConvNorm(inner, inner, middle, stride, groups=inner)
        self.project = ConvNorm(inner, to)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, to, h / stride, w / stride)."""
        inner = F.relu(self.expand(self.first(x) if self.has_first else x))
        y: Tensor = self.project(F.relu(self.middle(inner)) if self.has_middle else inner)
        return x + y if self.has_shortcut else y


class FasterBlock(nn.Module):
    """A 3x3 convolution of a quarter of the channels, two 1x1 convolutions, and a shortcut.

    Where the shape changes, a convolution of patches comes before, as between FasterNet's stages.

    References:
        Chen, Kao, He, Zhuo, Wen, Lee, Chan: Run, Don't Walk: Chasing Higher FLOPS for Faster Neural
        Networks. CVPR 2023.
    """

    def __init__(self, width: int, to: int, stride: int, hidden: int) -> None:
        super().__init__()
        self.merges = stride > 1 or width != to
        if self.merges:
            self.merge = nn.Conv2d(width, to, stride, stride, bias=False)
            self.merge_norm = nn.BatchNorm2d(to)
        self.n_mixed = max(1, to // _PARTS)
        self.mix = nn.Conv2d(self.n_mixed, self.n_mixed, 3, padding=1, bias=False)
        self.expand = ConvNorm(to, hidden * to)
        self.project = nn.Conv2d(hidden * to, to, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, to, h / stride, w / stride), rounded down."""
        if self.merges:
            x = self.merge_norm(self.merge(x))
        mixed = torch.cat([self.mix(x[:, : self.n_mixed]), x[:, self.n_mixed :]], dim=1)
        y: Tensor = self.project(F.relu(self.expand(mixed)))
        return x + y
