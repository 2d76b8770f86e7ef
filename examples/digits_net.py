"""A network of one's own, and how accurate it becomes: what examples/own_network.ipynb searches."""

from functools import partial

import torch
from torch import nn

from tailorbird.spaces import Elastic, Stage
from tailorbird.training import digits

DATA = digits.load()  # float32 images (n, 1, 8, 8) and labels (n,), in three splits


class Stem(nn.Conv2d):
    def __init__(self, to):
        super().__init__(1, to, 3, padding=1)


class Block(nn.Module):
    def __init__(self, width, to, stride, inner):
        super().__init__()
        self.expand = nn.Conv2d(width, inner * to, 3, stride, padding=1)
        self.norm = nn.BatchNorm2d(inner * to)
        self.project = nn.Conv2d(inner * to, to, 1)
        self.skip = nn.Conv2d(width, to, 1, stride)

    def forward(self, x):
        return self.skip(x) + self.project(torch.relu(self.norm(self.expand(x))))


class Head(nn.Linear):
    def __init__(self, width):
        super().__init__(width, 10)

    def forward(self, x):
        return super().forward(x.mean((2, 3)))


def space(batch):
    """Networks to choose from; a tuple is a choice, of each block for itself."""
    stages = [
        Stage(Block, to=8, depth=(1, 2, 3), inner=(1, 4)),
        Stage(Block, to=16, stride=2, depth=(1, 2, 3), inner=(1, 4)),
    ]
    return Elastic("digits-net", (batch, 1, 8, 8), partial(Stem, to=8), stages, Head)


def accuracy(architecture):
    """Fraction of validation images that a network names rightly after four epochs."""
    torch.manual_seed(0)
    network = architecture.build()
    train(network, epochs=4)
    return score(network, DATA.validation)


def train(network, epochs):
    images, labels = map(torch.as_tensor, (DATA.train.images, DATA.train.labels))
    batches = epochs * (len(labels) // 32)
    optimiser = torch.optim.AdamW(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, batches)
    network.train()
    for _ in range(batches):
        batch = torch.randint(len(labels), (32,))
        loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


@torch.no_grad()
def score(network, split):
    answers = network.eval()(torch.as_tensor(split.images)).argmax(1)
    return float((answers == torch.as_tensor(split.labels)).float().mean())
