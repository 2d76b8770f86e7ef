"""A space as users write it in a few lines: modules of their own, in stages; and wrong ones."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tailorbird.spaces import Elastic, Stage

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


class Stem(nn.Conv2d):
    def __init__(self, to: int) -> None:
        super().__init__(1, to, 3, padding=1)


class Block(nn.Module):
    def __init__(
        self, width: int, to: int, stride: int, inner: int = 1, act: str = "relu", norm: bool = True
    ) -> None:
        super().__init__()
        self.expand = nn.Conv2d(width, inner * to, 3, stride, padding=1)
        self.norm = nn.BatchNorm2d(inner * to) if norm else nn.Identity()
        self.act = ACTIVATIONS[act]()
        self.project = nn.Conv2d(inner * to, to, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.act(self.norm(self.expand(x))))
        return x + y if x.shape == y.shape else y


class Head(nn.Linear):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mean((2, 3)))


def space(batch: int = 1, n_classes: int = 10) -> Elastic:
    stages = [
        Stage(Block, to=4, depth=(1, 2), inner=(1, 2, 4)),
        Stage(Block, to=8, stride=2, depth=(2, 0, 1), act=("relu", "gelu"), inner=2),
    ]
    return of(stages, batch=batch, classes=n_classes)


def of(
    stages: Any,
    embedding: Any = partial(Stem, to=4),  # noqa: B008
    head: Any = None,
    shape: Sequence[int] = (1, 8, 8),
    *,
    batch: int = 2,
    classes: int = 10,
    **settings: Any,
) -> Elastic:
    head = partial(Head, classes=classes) if head is None else head
    return Elastic("own-net", (batch, *shape), embedding, stages, head, **settings)


class Valid(nn.Conv2d):
    """A convolution without padding: what it gives depends on its kernel."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__(width, width, kernel)


class Planes(nn.Conv2d):
    """Chooses the width of its output itself."""

    def __init__(self, width: int, planes: int) -> None:
        super().__init__(width, planes, 1)


class Names(nn.Identity):
    """Whose arguments make no difference."""

    def __init__(self, a: int = 0, a1: int = 0) -> None:
        super().__init__()


class Free(nn.Conv2d):
    """Takes any arguments."""

    def __init__(self, width: int, **arguments: int) -> None:
        super().__init__(width, arguments["to"], arguments["kernel"], padding="same")


class Constants(nn.Module):
    """A block with values of NumPy's, which no device leads elsewhere, as a buffer and beside."""

    shift: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = torch.from_numpy(np.ones((1, width, 1, 1), np.float32))
        self.register_buffer("shift", self.scale.clone())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift


class Patches(nn.Conv2d):
    """Images to sequences (n, tokens, to)."""

    def __init__(self, to: int) -> None:
        super().__init__(1, to, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).flatten(2).transpose(1, 2)


class Mixer(nn.Linear):
    def __init__(self, width: int, to: int) -> None:
        super().__init__(width, to)


class MeanHead(Head):
    def forward(self, x: Tensor) -> Tensor:
        return nn.Linear.forward(self, x.mean(1))


class LastAxis(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.movedim(1, -1)


class LastHead(Head):
    def forward(self, x: Tensor) -> Tensor:
        return nn.Linear.forward(self, x.mean((1, 2)))


class Raising(Block):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no way")


class Unmade(Block):
    def __init__(self, width: int, to: int, stride: int) -> None:
        raise LookupError("nothing")


class Tuples(Block):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x), None


class Integers(Block):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).to(torch.int32)


class NeedsValues(Block):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * float(x.mean())


class MixesImages(Block):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean(0)


class Narrow(nn.Conv2d):
    """Is told no width."""

    def __init__(self) -> None:
        super().__init__(4, 4, 1)


class FlatHead(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


class Outer:
    class Block(Block):
        pass


def function(width: int) -> nn.Module:
    return Planes(width, 4)


OtherBlock = type("Block", (Block,), {"__module__": __name__, "__qualname__": "OtherBlock"})
"""Of the same name as another class, though importable by its own."""
