"""Torch modules of mobile networks. Activations are (n, channels, height, width)."""

import torch.nn.functional as F
from torch import Tensor, nn

from tailorbird.spaces.chains.width import multiple_of_8


class ConvNorm(nn.Sequential):
    """A convolution without bias, padded to keep the grid at stride 1, and a batch norm."""

    def __init__(
        self, width: int, to: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, to, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(to)


class FirstConv(nn.Module):
    """Colour image to `to` channels."""

    def __init__(self, to: int, stride: int, h_swish: int) -> None:
        super().__init__()
        self.conv = ConvNorm(3, to, 3, stride)
        self.act = _activation(h_swish)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, to, h / stride, w / stride)."""
        y: Tensor = self.act(self.conv(x))
        return y


class SqueezeExcite(nn.Module):
    """Scales each channel by what a small network makes of all channels' means.

    References:
        Hu, Shen, Sun: Squeeze-and-Excitation Networks. CVPR 2018.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = multiple_of_8(width // 4)
        self.reduce = nn.Conv2d(width, inner, 1)
        self.expand = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        y = F.relu(self.reduce(x.mean(dim=(2, 3), keepdim=True)))
        return x * F.hardsigmoid(self.expand(y))


class MobileBlock(nn.Module):
    """More channels, a depthwise convolution, fewer channels, and a shortcut if the shape stays.

    With `expand` 1 there is no first convolution.

    References:
        Howard, Sandler, Chu, Chen, Chen, Tan, et al.: Searching for MobileNetV3. ICCV 2019.
    """

    def __init__(
        self, width: int, to: int, expand: int, kernel: int, stride: int, se: int, h_swish: int
    ) -> None:
        super().__init__()
        inner = multiple_of_8(width * expand)
        self.has_shortcut = stride == 1 and width == to
        self.act = _activation(h_swish)
        self.is_expanded = expand > 1
        if self.is_expanded:
            self.expand = ConvNorm(width, inner)
        self.depthwise = ConvNorm(inner, inner, kernel, stride, groups=inner)
        self.se = SqueezeExcite(inner) if se else nn.Identity()
        self.project = ConvNorm(inner, to)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, to, h / stride, w / stride)."""
        inner = self.act(self.expand(x)) if self.is_expanded else x
        y: Tensor = self.project(self.se(self.act(self.depthwise(inner))))
        return x + y if self.has_shortcut else y


class GroupedBlock(nn.Module):
    """An inverted residual block whose 1x1 convolutions work in groups of channels.

    Between them channels are shuffled, so that each group hears of all of them.

    References:
        Wu, Dai, Zhang, Wang, Sun, Wu, et al.: FBNet: Hardware-Aware Efficient ConvNet Design
        via Differentiable Neural Architecture Search. CVPR 2019.
    """

    def __init__(
        self, width: int, to: int, expand: int, kernel: int, stride: int, groups: int
    ) -> None:
        super().__init__()
        inner = width * expand
        self.has_shortcut = stride == 1 and width == to
        self.groups = groups
        self.expand = ConvNorm(width, inner, groups=groups)
        self.depthwise = ConvNorm(inner, inner, kernel, stride, groups=inner)
        self.project = ConvNorm(inner, to, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, to, h / stride, w / stride)."""
        inner = F.relu(self.expand(x))
        if self.groups > 1:
            n, channels, height, width = inner.shape
            inner = inner.reshape(n, self.groups, channels // self.groups, height, width)
            inner = inner.transpose(1, 2).reshape(n, channels, height, width)
        y: Tensor = self.project(F.relu(self.depthwise(inner)))
        return x + y if self.has_shortcut else y


class Projection(nn.Module):
    """A 1x1 convolution, with a ReLU if `relu` is 1."""

    def __init__(self, width: int, to: int, stride: int, relu: int) -> None:
        super().__init__()
        self.conv = ConvNorm(width, to, 1, stride)
        self.act = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, to, h / stride, w / stride)."""
        y: Tensor = self.act(self.conv(x))
        return y


class Head(nn.Module):
    """A 1x1 convolution, mean over pixels, and one linear layer."""

    def __init__(self, width: int, features: int, classes: int) -> None:
        super().__init__()
        self.conv = ConvNorm(width, features)
        self.linear = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to logits (n, classes)."""
        logits: Tensor = self.linear(F.relu(self.conv(x)).mean(dim=(2, 3)))
        return logits


class FinalExpand(nn.Module):
    """A 1x1 convolution and the mean over pixels."""

    def __init__(self, width: int, to: int) -> None:
        super().__init__()
        self.conv = ConvNorm(width, to)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, to, 1, 1)."""
        return F.hardswish(self.conv(x)).mean(dim=(2, 3), keepdim=True)


class FeatureMix(nn.Module):
    """A 1x1 convolution of one pixel, without a norm."""

    def __init__(self, width: int, to: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, to, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, 1, 1) to (n, to)."""
        return F.hardswish(self.conv(x)).flatten(1)


class Classifier(nn.Linear):
    """A linear layer from (n, width) to logits (n, classes)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__(width, classes)


def _activation(h_swish: int) -> nn.Module:
    return nn.Hardswish() if h_swish else nn.ReLU()
