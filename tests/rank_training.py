"""Trains small networks of several kinds as one of the ranks that torchrun starts."""

import argparse
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from own_net import Head, Stem, of
from torch import Tensor, nn

from tailorbird.cli.ranks import joined, leave
from tailorbird.progress import NoProgress
from tailorbird.spaces import Elastic, Stage
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.deit import DeiT
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.training import (
    Dataset,
    Split,
    SupernetTraining,
    Training,
    saving,
    train,
    train_supernet,
)
from tailorbird.training.compute import Compute
from tailorbird.training.gradient_sum import add_up, check_same
from tailorbird.training.optimization import Optimization
from tailorbird.training.ranks import Ranks
from tailorbird.training.shared.network import fresh
from tailorbird.training.shares import Share

N_IMAGES, BATCH = 70, 16  # the last batch of an epoch has six images, too few for four ranks


KILLED_AFTER = 20
KILLED: list[int] = []
"""Batches until this process is killed, if it is."""


class DoubleSplit(Split):
    """Images in the default type of torch."""

    def normalised(self, images: Tensor) -> Tensor:
        return images.to(torch.get_default_dtype())


class BatchNormed(nn.Module):
    """A convolution without a bias, whose gradient would be 0 but for rounding, and a norm."""

    def __init__(self, width: int, to: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, to, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(to)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x)).relu()
        return y


class LayerNormed(nn.Module):
    """A convolution, and a norm over the channels of each pixel."""

    def __init__(self, width: int, to: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, to, 3, padding=1)
        self.norm = nn.LayerNorm(to)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x).movedim(1, -1)).movedim(-1, 1)
        return y.relu()


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images that are rolled by a random number of pixels each, drawn for the whole batch."""
    if KILLED:
        KILLED[0] -= 1
        if not KILLED[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    by = torch.randint(-1, 2, (len(images),), generator=generator).tolist()
    return torch.stack([image.roll(n, -1) for image, n in zip(images, by, strict=True)])


def data_of(shape: tuple[int, ...]) -> Dataset:
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=N_IMAGES)
    images = rng.standard_normal((N_IMAGES, *shape)) + labels[:, None, None, None] / 4
    split = DoubleSplit(images.astype(np.float32), labels)
    return Dataset("made up", 10, split, split, split, shifted)


def stitched(family: object, shape: tuple[int, ...], compute: Compute, folder: Path) -> None:
    space = StitchSpace(family, Windows(2, 1), max_stitches=1)  # type: ignore[arg-type]  # two kinds
    how = Optimization(mixup=0.2)
    settings = Training(2, 10, 0, batch=BATCH, stitch_images=20, optimization=how, compute=compute)
    train(space, data_of(shape), settings, folder, NoProgress())


def supernet(
    block: type[nn.Module], rule: str, compute: Compute, folder: Path, **how: object
) -> None:
    stages = [Stage(block, to=(4, 8), depth=(1, 2)), Stage(block, to=(4, 8))]
    space = of(stages, partial(Stem, to=4), partial(Head, classes=10))
    epochs = 40 if rule == "sandwich" else 11
    settings = SupernetTraining(
        epochs,
        0,
        batch=BATCH,
        rule=rule,
        optimization=Optimization(**how),  # type: ignore[arg-type]  # of tests
        compute=compute,
    )
    train_supernet(space, data_of((1, 8, 8)), settings, folder, NoProgress())


def one_step_space() -> Elastic:
    """Networks with both kinds of norms."""
    stages = [Stage(BatchNormed, to=(4, 8), depth=(1, 2)), Stage(LayerNormed, to=(4, 8))]
    return of(stages, partial(Stem, to=4), partial(Head, classes=10))


def one_step(compute: Compute, folder: Path) -> None:
    """Goes one step down a gradient, as it is."""
    space = one_step_space()
    how = Optimization("sgd", weight_decay=0, clip=0)
    settings = SupernetTraining(1, 0, batch=N_IMAGES, optimization=how, compute=compute)
    train_supernet(space, data_of((1, 8, 8)), settings, folder, NoProgress())


def sums(compute: Compute, folder: Path) -> None:
    """Adds up gradients of weights that both, one or none of two ranks used."""
    ranks, share = compute.ranks, Share([slice(0, 1)], 4)  # of the first rank
    if ranks.number:
        share = Share([slice(1, 4)], 4)
    both, first, none, folded = (torch.ones(4, requires_grad=True) for _ in range(4))
    folded = torch.ones(1, 2, 2, 2).contiguous(memory_format=torch.channels_last).requires_grad_()
    weighted = sum(share.weights) * (1.0 + 2 * ranks.number)  # gradients of 1 and of 3
    both.grad = torch.full((4,), weighted)
    folded.grad = torch.arange(8.0).view_as(folded).contiguous(memory_format=torch.channels_last)
    if ranks.number == 0:
        first.grad = torch.full((4,), weighted)
    value = add_up([both, first, none, folded], torch.tensor(weighted), share, ranks)
    assert none.grad is None
    assert both.grad is not None
    assert first.grad is not None
    assert folded.grad is not None
    assert torch.equal(both.grad, torch.full((4,), 0.25 + 2.25))
    assert torch.equal(first.grad, torch.ones(4))  # that of the one that used it
    assert torch.equal(folded.grad / folded.grad.flatten()[1], torch.arange(8.0).view(1, 2, 2, 2))
    assert folded.grad.stride() == folded.stride()
    assert value == 2.5


def others(compute: Compute, folder: Path) -> None:
    """Has gradients of another network than other ranks, of another size."""
    space = one_step_space()
    network = fresh(space, 0)
    row = space.landmarks[-compute.ranks.number]
    network(torch.zeros(2, 1, 8, 8), space.route(row)).sum().backward()
    check_same([*network.parameters()], compute.ranks)


KINDS: dict[str, Callable[[Compute, Path], object]] = {
    "stitched-batch-norm": partial(stitched, DigitsResNet(2, widths=(4, 8), depth=3), (1, 8, 8)),
    "stitched-layer-norm": partial(
        stitched, DeiT(2, ("ti", "s"), (16, 32), (2, 4), 3, 32, 10), (3, 32, 32)
    ),
    "sandwich-batch-norm": partial(supernet, BatchNormed, "sandwich"),
    "sandwich-layer-norm": partial(supernet, LayerNormed, "sandwich"),
    "one-step": one_step,
    "sums": sums,
    "others": others,
    "parts": partial(supernet, BatchNormed, "single-path", accumulation=2, weight_averaging=0.9),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("kinds", nargs="+")
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--norms", default="global")
    parser.add_argument("--routes", default="same")
    parser.add_argument("--kill", type=int, help="number of the rank that is killed in mid-step")
    arguments = parser.parse_args()
    saving._SAVED_EVERY_S = 0  # after each step
    torch.set_default_dtype(getattr(torch, arguments.dtype))
    torch.set_num_threads(1)
    with joined():
        ranks = Ranks.present(arguments.norms, arguments.routes)
        if arguments.kill == ranks.number:
            KILLED.append(KILLED_AFTER)
        for kind in arguments.kinds:
            KINDS[kind](Compute(ranks=ranks), arguments.folder / kind)


if __name__ == "__main__":
    main()
    leave(0)
