"""A network of one's own: modules, the space of their choices, and how accurate each network is."""

from functools import partial

import torch.nn.functional as F
from torch import nn

from tailorbird.spaces import Architecture, Elastic, Stage


class Stem(nn.Module):
    def __init__(self, to):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, to, 3, 2, 1, bias=False), nn.BatchNorm2d(to)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


class Block(nn.Module):
    def __init__(self, width, to, stride, inner):
        super().__init__()
        self.conv1, self.norm1 = (
            nn.Conv2d(width, 8 * inner, 3, stride, 1),
            nn.BatchNorm2d(8 * inner),
        )
        self.conv2, self.norm2 = nn.Conv2d(8 * inner, to, 3, 1, 1), nn.BatchNorm2d(to)
        self.skip = nn.Conv2d(width, to, 1, stride) if (width, 1) != (to, stride) else nn.Identity()

    def forward(self, x):
        return F.relu(self.skip(x) + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class Head(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, 10)

    def forward(self, x):
        return self.linear(x.mean((2, 3)))


def space(batch):
    block = partial(Stage, Block, depth=(1, 2, 3), inner=(1, 2, 4))
    stages = [block(to=16), block(to=32, stride=2), block(to=64, stride=2)]
    return Elastic("my-net", (batch, 3, 32, 32), partial(Stem, to=16), stages, Head)


def accuracy(architecture: Architecture) -> float:
    """Stands for training: deeper and wider is better, less and less, and balance counts."""
    choice = architecture.choices
    stages = []
    for s in range(3):
        inner = [int(choice[f"inner{s}_{i}"]) for i in range(int(choice[f"depth{s}"]))]
        stages.append(sum(n**0.5 for n in inner))
    luck = (sum((i + 1) * c * c for i, c in enumerate(architecture.row)) * 0.618) % 1 - 0.5
    missing = sum((5 - stage) ** 2 for stage in stages) / 75 + (max(stages) - min(stages)) / 40
    return 0.95 - 0.4 * missing + 0.004 * luck
