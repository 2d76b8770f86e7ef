"""Torch modules of EfficientNet-Lite. Activations are (n, channels, height, width)."""

import torch.nn.functional as F
from torch import Tensor, nn

_EPS = 1e-3


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow does: outputs are inputs / stride, rounded up.

    Where an odd number of pixels is missing, one more is added at the right and at the bottom.
    """

    def __init__(self, width: int, to: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(width, to, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, to, h / stride, w / stride)."""
        height, width = (
            max(-(-pixels // stride) * stride - stride + kernel - pixels, 0)
            for pixels, kernel, stride in zip(
                x.shape[2:], self.kernel_size, self.stride, strict=True
            )
        )
        padding = height // 2, width // 2
        if height % 2 or width % 2:
            x = F.pad(x, (padding[1], width - padding[1], padding[0], height - padding[0]))
            padding = 0, 0
        return F.conv2d(x, self.weight, None, self.stride, padding, groups=self.groups)


class Embedding(nn.Module):
    """Colour image to `width` channels on half of the grid."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = SameConv(3, width, 3, 2)
        self.bn = nn.BatchNorm2d(width, _EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, width, h / 2, w / 2)."""
        return F.relu6(self.bn(self.conv(x)))


class Block(nn.Module):
    """More channels, a depthwise convolution, fewer channels, and a shortcut if the shape stays.

    References:
        Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: Inverted Residuals and Linear
        Bottlenecks. CVPR 2018.
    """

    def __init__(self, width: int, to: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = width * expansion
        self.has_shortcut = stride == 1 and width == to
        self.is_expanded = expansion > 1
        if self.is_expanded:
            self.expand = nn.Conv2d(width, inner, 1, bias=False)
            self.expand_bn = nn.BatchNorm2d(inner, _EPS)
        self.depthwise = SameConv(inner, inner, kernel, stride, groups=inner)
        self.depthwise_bn = nn.BatchNorm2d(inner, _EPS)
        self.project = nn.Conv2d(inner, to, 1, bias=False)
        self.project_bn = nn.BatchNorm2d(to, _EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, to, h / stride, w / stride)."""
        inner = F.relu6(self.expand_bn(self.expand(x))) if self.is_expanded else x
        inner = F.relu6(self.depthwise_bn(self.depthwise(inner)))
        y: Tensor = self.project_bn(self.project(inner))
        return x + y if self.has_shortcut else y


class Head(nn.Module):
    """A 1x1 convolution, mean over pixels, and one linear layer."""

    def __init__(self, width: int, features: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, features, 1, bias=False)
        self.bn = nn.BatchNorm2d(features, _EPS)
        self.linear = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to logits (n, classes)."""
        logits: Tensor = self.linear(F.relu6(self.bn(self.conv(x))).mean(dim=(2, 3)))
        return logits
