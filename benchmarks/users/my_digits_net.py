"""Blocks of a residual network for 8x8 digits, and the network: six blocks of 32 channels."""

import torch.nn.functional as F
from torch import nn


class Stem(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


class Block(nn.Module):
    def __init__(self, inner=32):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(32, inner, 3, 1, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.norm2 = nn.Conv2d(inner, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32)

    def forward(self, x):
        return F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(32, 10)

    def forward(self, x):
        return self.linear(x.mean((2, 3)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = Stem(), Head()
        self.blocks = nn.Sequential(*(Block() for _ in range(6)))

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))
