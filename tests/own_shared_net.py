"""Spaces of a user's own whose networks share weights, and blocks that cannot share them."""

import itertools
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from own_code import WIDTHS, Perceptrons
from own_net import Block, of
from scipy.sparse import csr_array
from torch import Tensor, nn

from tailorbird.spaces import Elastic, IntArray, Piece, Stage, Workload

N = 16  # values between the layers of a perceptron


def space(batch: int, block: str = "Block", n_classes: int = 10, norm: bool = True) -> Elastic:
    """A supernet with a stage of elastic width, of which the block is named."""
    made = partial(globals()[block], norm=norm)
    stages = [
        Stage(made, to=(4, 8), depth=(1, 2), inner=(1, 2)),
        Stage(made, to=8, stride=2, depth=(1, 2), inner=(1, 2)),
    ]
    return of(stages, batch=batch, classes=n_classes)


def three(batch: int) -> Elastic:
    """A supernet whose smallest and largest networks lack the blocks between."""
    made = partial(Sometimes, norm=True)
    return of([Stage(made, to=8, stride=2, depth=(1, 2), inner=(1, 2, 4))], batch=batch)


def strips(batch: int) -> Elastic:
    """A supernet in which neither of two networks lies in the other."""
    return of([Stage(Strip, tall=(False, True), depth=(1, 2))], batch=batch)


class Strip(nn.Module):
    """A kernel that is three high, or three wide."""

    def __init__(self, width: int, tall: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, (3, 1) if tall else (1, 3), padding="same")

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.conv(x).relu()
        return y


class Iterating(Block):
    """Goes over its own parameters to compute."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + sum(p.square().mean() for p in self.parameters())


class Drifting(Block):
    """Keeps what it saw in a buffer that is in no state dict."""

    seen: Tensor

    def __init__(self, width: int, to: int, stride: int, inner: int, norm: bool) -> None:
        super().__init__(width, to, stride, inner, norm=norm)
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen.add_(1.0)
        return super().forward(x) + 0.01 * self.seen


class Sometimes(Drifting):
    """Does so in networks that are neither the smallest nor the largest."""

    def forward(self, x: Tensor) -> Tensor:
        is_other = self.expand.out_channels == 2 * self.project.out_channels
        return super().forward(x) if is_other else Block.forward(self, x)


class InstanceNormed(Block):
    """Keeps statistics that are not those of a batch norm."""

    def __init__(self, width: int, to: int, stride: int, inner: int, norm: bool) -> None:
        super().__init__(width, to, stride, inner)
        self.norm = nn.InstanceNorm2d(inner * to, track_running_stats=True)  # type: ignore[assignment]


class Drawn(Block):
    """Has a buffer that is drawn by chance, and is in no state dict."""

    mask: Tensor

    def __init__(self, width: int, to: int, stride: int, inner: int, norm: bool) -> None:
        super().__init__(width, to, stride, inner, norm=norm)
        self.register_buffer("mask", torch.rand(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.mask


class Constant(Block):
    """Has a buffer that is always the same."""

    mask: Tensor

    def __init__(self, width: int, to: int, stride: int, inner: int, norm: bool) -> None:
        super().__init__(width, to, stride, inner, norm=norm)
        self.register_buffer("mask", torch.full((), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.mask


class Ranks(Block):
    """Has weights of one name and of one or two axes."""

    def __init__(self, width: int, to: int, stride: int, inner: int, norm: bool) -> None:
        super().__init__(width, to, stride, inner)
        self.scale = nn.Parameter(torch.ones((1,) * inner))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale.mean()


class Doubled(Block):
    """Says a window that has one channel again and again."""

    def windows(self, name: str, shape: tuple[int, ...]) -> list[list[int]] | None:
        n = self.get_parameter(name).shape[0]
        return [[0] * n] if name == "expand.bias" else None


class InPlace(Block):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.relu(x, inplace=True))


class Flat(nn.Linear):
    def __init__(self) -> None:
        super().__init__(64, N)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))


class Hidden(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.expand, self.project = nn.Linear(N, hidden), nn.Linear(hidden, N)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.project(torch.relu(self.expand(x)))
        return y


class Classifier(nn.Linear):
    def __init__(self) -> None:
        super().__init__(N, 10)


@dataclass(frozen=True)
class SharedPerceptrons(Perceptrons):
    """One to three layers that share their weights, with no class of tailorbird's behind them."""

    name: ClassVar = "shared-perceptrons"

    @property
    def pieces(self) -> tuple[Piece, ...]:
        rows = itertools.chain.from_iterable(self.enumerate())
        return tuple(dict.fromkeys(piece for row in rows for piece in self._route(row)))

    def route(self, row: IntArray) -> tuple[Piece, ...]:
        if not np.array_equal(self.repair(row[None]), row[None]):
            raise ValueError("Rows must be canonical.")
        return self._route(row)

    def _route(self, row: IntArray) -> tuple[Piece, ...]:
        shape = ((self.batch, N),)
        hidden = [WIDTHS[choice] for choice in row[1 : 2 + row[0]]]
        builders = [f"own_shared_net:{name}" for name in ("Flat", "Hidden", "Classifier")]
        first = Workload("own_flat", (), (self.input_shape,), builders[0])
        layers = [Workload("own_hidden", (("hidden", n),), shape, builders[1]) for n in hidden]
        last = Workload("own_classifier", (), shape, builders[2])
        return (
            Piece("embedding", "first", first),
            *(Piece("block", f"layer-{i}", workload) for i, workload in enumerate(layers)),
            Piece("head", "last", last),
        )

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.batch, 1, 8, 8)

    @property
    def workloads(self) -> tuple[Workload, ...]:
        return tuple(dict.fromkeys(piece.workload for piece in self.pieces))

    def count_workloads(self, X: IntArray) -> csr_array:
        place = {workload: i for i, workload in enumerate(self.workloads)}
        counts = np.zeros((len(X), len(place)), dtype=np.int64)
        for i, row in enumerate(X):
            for piece in self.route(row):
                counts[i, place[piece.workload]] += 1
        return csr_array(counts)

    def build(self, row: IntArray) -> nn.Module:
        return nn.Sequential(*(piece.workload.build() for piece in self.route(row)))

    def describe(self, row: IntArray) -> str:
        return "-".join(str(WIDTHS[choice]) for choice in row[1 : 2 + row[0]])


class Called(SharedPerceptrons):
    """Has names that torch's modules have, too."""

    def _route(self, row: IntArray) -> tuple[Piece, ...]:
        return tuple(
            replace(p, weights=p.weights.replace("last", "keys")) for p in super()._route(row)
        )


class Nested(SharedPerceptrons):
    """Builds networks whose weights have other names than those of its pieces."""

    def build(self, row: IntArray) -> nn.Module:
        return nn.Sequential(super().build(row))
