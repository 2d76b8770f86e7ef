"""Modules of one's own to begin with: a space of networks, or programs to time."""

_SPACE = '''"""Networks of your own to choose from: edit blocks, arguments and choices."""

from functools import partial

import torch
from torch import nn

from tailorbird.spaces import Elastic, Stage


class Stem(nn.Conv2d):
    def __init__(self, to):
        super().__init__({channels}, to, 3, padding=1)


class Block(nn.Module):
    """Is given `width`, that of its input, `to` and `stride`, besides the arguments of a stage."""

    def __init__(self, width, to, stride, inner):
        super().__init__()
        self.expand = nn.Conv2d(width, inner * to, 3, stride, padding=1)
        self.norm = nn.BatchNorm2d(inner * to)
        self.project = nn.Conv2d(inner * to, to, 1)
        self.skip = nn.Conv2d(width, to, 1, stride)

    def forward(self, x):
        return self.skip(x) + self.project(torch.relu(self.norm(self.expand(x))))


class Head(nn.Linear):
    def __init__(self, width, classes):
        super().__init__(width, classes)

    def forward(self, x):
        return super().forward(x.mean((2, 3)))


def {function}(batch):
    stages = [
        Stage(Block, to=(8, 16), depth=(1, 2), inner=(1, 2)),  # a tuple is a choice
        Stage(Block, to=(16, 32), stride=2, depth=(1, 2), inner=(1, 2)),
    ]
    images, head = (batch, {channels}, {size}, {size}), partial(Head, classes={n_classes})
    return Elastic("{name}", images, partial(Stem, to=8), stages, head)
'''

_PROGRAMS = '''"""Modules of your own to time: each has a name, and the shape of its input."""

from torch import nn


def {function}():
    conv = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())
    attention = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    return {{
        "conv": (conv, (1, 16, 32, 32)),
        "attention": (attention, (1, 49, 64)),
        "linear": (nn.Linear(256, 100), (1, 256)),
        "depthwise": (nn.Conv2d(32, 32, 3, padding=1, groups=32), (1, 32, 32, 32)),
    }}
'''


def space_module(function: str, name: str, channels: int, size: int, n_classes: int) -> str:
    """Text of a module whose function gives a space of plain modules.

    Args:
        function: its name.
        name: of the space.
        channels: of images.
        size: height and width of images.
        n_classes: that networks tell apart.
    """
    return _SPACE.format(
        function=function, name=name, channels=channels, size=size, n_classes=n_classes
    )


def programs_module(function: str) -> str:
    """Text of a module whose function gives modules to time.

    Args:
        function: its name.
    """
    return _PROGRAMS.format(function=function)
