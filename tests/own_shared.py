"""Blocks of users' own, whose weights supernets share in ways that are easily got wrong."""

from functools import partial
from typing import Any

import torch
from own_net import Head, MeanHead, Patches, Stem, of
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tailorbird.spaces import Elastic, Stage

HEAD_DIM = 2


class Tied(nn.Module):
    """Two convolutions with one kernel, under two names."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(width, width, kernel, padding=kernel // 2)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x).relu())
        return y


class Recurrent(nn.Module):
    """Reads tokens (n, tokens, width) one after the other."""

    def __init__(self, width: int, inner: int, cell: str) -> None:
        super().__init__()
        cells: dict[str, Any] = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}
        self.cell = cells[cell](width, inner, batch_first=True, bidirectional=True)
        self.project = nn.Linear(2 * inner, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.project(self.cell(x)[0])
        return y


class Fused(nn.Module):
    """Attention whose queries, keys and values are made by one layer, one behind the other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * heads * HEAD_DIM)
        self.project = nn.Linear(heads * HEAD_DIM, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, _ = x.shape
        split = self.qkv(x).reshape(n, tokens, 3, self.heads, HEAD_DIM)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        y = torch.softmax(q @ k.transpose(2, 3), dim=-1) @ v
        out: Tensor = x + self.project(y.transpose(1, 2).reshape(n, tokens, -1))
        return out

    def windows(self, name: str, shape: tuple[int, ...]) -> Any:
        if not name.startswith("qkv"):
            return None
        n = self.heads * HEAD_DIM
        rows = [part * shape[0] // 3 + i for part in range(3) for i in range(n)]
        return (rows, *map(range, self.qkv.weight.shape[1:] if len(shape) > 1 else ()))


class Frozen(nn.Module):
    """The first of two convolutions stays as it was drawn."""

    def __init__(self, width: int, to: int) -> None:
        super().__init__()
        self.fixed = nn.Conv2d(width, to, 3, padding=1).requires_grad_(False)
        self.learned = nn.Conv2d(to, to, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.learned(self.fixed(x))
        return y


class Recomputed(nn.Module):
    """Keeps no activations for the backward pass, but computes them again."""

    def __init__(self, width: int, inner: int, reentrant: bool) -> None:
        super().__init__()
        self.inside = nn.Sequential(
            nn.Conv2d(width, inner, 3, padding=1), nn.Tanh(), nn.Conv2d(inner, width, 1)
        )
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = checkpoint(self.inside, x, use_reentrant=self.reentrant)
        return y


class Stateful(nn.Module):
    """Learns in buffers, which it changes in place and replaces, as spectral norms do."""

    scale: Tensor
    seen: Tensor

    def __init__(self, width: int, to: int) -> None:
        super().__init__()
        self.conv = nn.utils.parametrizations.spectral_norm(nn.Conv2d(width, to, 3, padding=1))
        self.norm = nn.BatchNorm2d(to)
        self.register_buffer("scale", torch.ones(to, 1, 1))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        if self.training:
            with torch.no_grad():
                self.scale.mul_(0.9).add_(y.std(dim=(0, 2, 3)).view(-1, 1, 1), alpha=0.2)
            self.seen = self.seen + len(x)
        return y * self.scale + 1e-4 * self.seen


class Axes(nn.Module):
    """A weight of one axis, or of two."""

    def __init__(self, width: int, axes: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones((width,) * axes))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale.mean()


class Normed(nn.Module):
    """A convolution that does not know its norm's statistics."""

    def __init__(self, width: int, to: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, to, 3, padding=1)
        self.norm = nn.BatchNorm2d(to)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x)).relu()
        return y


class Unkept(nn.Module):
    """A norm that always uses the statistics of its batch, and keeps none."""

    def __init__(self, width: int, to: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, to, 3, padding=1)
        self.norm = nn.BatchNorm2d(to, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x)).relu()
        return y


class Placed(nn.Module):
    """A weight, or a module of one, under one name."""

    def __init__(self, width: int, whole: bool) -> None:
        super().__init__()
        self.scale: Any = nn.Linear(width, width) if whole else nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = getattr(self.scale, "weight", self.scale)
        return x * scale.mean()


class Refined(nn.Linear):
    """Logits made of logits."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width)


def of_images(block: Any, **settings: Any) -> Elastic:
    """One or two such blocks between a stem of four channels and a head."""
    return of([Stage(block, depth=(1, 2), **settings)])


def of_tokens(block: Any, **settings: Any) -> Elastic:
    stage = Stage(block, depth=(1, 2), **settings)
    return of([stage], partial(Patches, to=4), partial(MeanHead, classes=10))


def tied() -> Elastic:
    return of_images(Tied, kernel=(1, 5, 3))


def recurrent() -> Elastic:
    return of_tokens(Recurrent, inner=(3, 6), cell=("gru", "lstm"))


def fused() -> Elastic:
    """Networks in which heads may be fewer, and tokens narrower."""
    return of_tokens(Fused, heads=(1, 3, 2))


def frozen() -> Elastic:
    return of_images(Frozen, to=(4, 6, 8))


def recomputed(*, reentrant: bool = False) -> Elastic:
    return of_images(partial(Recomputed, reentrant=reentrant), inner=(2, 4))


def stateful() -> Elastic:
    return of_images(Stateful, to=(4, 8))


def normed() -> Elastic:
    """All norms are in blocks of several widths."""
    return of([Stage(Normed, to=(4, 8), depth=(1, 2))], partial(Stem, to=4))


def unkept() -> Elastic:
    return of_images(Unkept, to=(4, 8))


def refined() -> Elastic:
    """Networks that go on where others end."""
    return of(
        [Stage(Refined, depth=(2, 0, 1, 3))], [partial(Stem, to=4), partial(Head, classes=10)], []
    )


def grouped() -> Elastic:
    """Stages that may be left out, and one after them without choices."""
    stages = [
        Stage(partial(Normed, to=6), depth=(0, 2, 1)),
        Stage(partial(Normed, to=8)),
        Stage(Normed, to=(4, 8), depth=(2, 0)),
    ]
    return of(stages, partial(Stem, to=4), partial(Head, classes=10))
