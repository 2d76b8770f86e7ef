"""A supernet of one's own, plain modules some of whose sizes are choices, and a loop to train it.

`tailorbird run own-supernet.toml` trains it by the recipe's rule. For the loop below instead:

    python own_supernet.py  # writes own_supernet.safetensors, which the recipe's `trained` names
"""

from functools import partial

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from tailorbird.spaces import Elastic, Stage
from tailorbird.training import SharedNetwork, digits


class Stem(nn.Conv2d):
    def __init__(self, to):
        super().__init__(1, to, 3, padding=1)


class Block(nn.Module):
    def __init__(self, width, to, stride, kernel, inner):
        super().__init__()
        self.mix = nn.Conv2d(width, inner * to, kernel, stride, kernel // 2)
        self.norm = nn.BatchNorm2d(inner * to)
        self.project = nn.Conv2d(inner * to, to, 1)
        self.skip = nn.Identity()
        if width != to or stride > 1:
            self.skip = nn.Conv2d(width, to, 1, stride)

    def forward(self, x):
        return self.skip(x) + self.project(torch.relu(self.norm(self.mix(x))))


class Head(nn.Linear):
    def __init__(self, width):
        super().__init__(width, 10)

    def forward(self, x):
        return super().forward(x.mean((2, 3)))


def space(batch):
    """Networks to choose from: a width for all blocks of a stage, the rest for each block."""
    stage = partial(Stage, Block, depth=(1, 2, 3), kernel=(3, 5), inner=(1, 2))
    stages = [stage(to=(8, 16)), stage(to=(16, 32), stride=2)]
    return Elastic("own-supernet", (batch, 1, 8, 8), partial(Stem, to=8), stages, Head)


def train(epochs, batch=50, peak=2e-2):
    """Trains all networks at once: each step draws one, which has its part of the weights."""
    networks, data = space(batch), digits.load().train
    torch.manual_seed(0)
    shared = SharedNetwork(networks).train()
    optimiser = torch.optim.AdamW(shared.parameters())
    n_steps = epochs * len(data.labels) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak, n_steps)
    rng = np.random.default_rng(0)
    for _ in range(n_steps):
        index = rng.integers(len(data.labels), size=batch)
        (row,) = networks.sample(1, rng)
        logits = shared(data.batch(index), networks.route(row))
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(data.labels[index]))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(shared.parameters(), 5.0)
        optimiser.step()
        schedule.step()
    return shared


if __name__ == "__main__":
    save_file(train(epochs=100).state_dict(), "own_supernet.safetensors")
