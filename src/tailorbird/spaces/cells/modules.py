"""Torch modules of NAS-Bench-201. Activations are (n, channels, height, width)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class Stem(nn.Sequential):
    """Colour image to `width` channels."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))


class Convolution(nn.Sequential):
    """ReLU, a convolution from `width` to `to` channels, batch norm."""

    def __init__(self, width: int, to: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(width, to, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(to),
        )


class Pool(nn.AvgPool2d):
    """Mean of those of the `kernel` x `kernel` neighbours that lie inside the map."""

    def __init__(self, kernel: int) -> None:
        super().__init__(kernel, stride=1, padding=kernel // 2, count_include_pad=False)


class Add(nn.Module):
    """Merges two edges that enter a node."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Sum of two tensors of one shape."""
        return x + y


class Reduction(nn.Module):
    """A residual block that halves the map; its shortcut averages."""

    def __init__(self, width: int, to: int) -> None:
        super().__init__()
        self.first = Convolution(width, to, 3, stride=2)
        self.second = Convolution(to, to, 3)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(width, to, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, to, h / 2, w / 2)."""
        y: Tensor = self.shortcut(x) + self.second(self.first(x))
        return y


class Head(nn.Module):
    """Batch norm, ReLU, mean over pixels, one linear layer."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.linear = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to logits (n, classes)."""
        logits: Tensor = self.linear(F.relu(self.norm(x)).mean(dim=(2, 3)))
        return logits


class Cell(nn.Module):
    """A graph from node 0 to the last one; a node is the sum of the edges that enter it.

    Args:
        edges: (source, target) of those that are not none, ordered by target; every source is
            node 0 or the target of an edge before.
        operations: one per edge.
        merge: adds two edges.
        output: number of the last node.
    """

    def __init__(
        self,
        edges: Sequence[tuple[int, int]],
        operations: Sequence[nn.Module],
        merge: nn.Module,
        output: int,
    ) -> None:
        super().__init__()
        self.edges, self.output = tuple(edges), output
        self.operations, self.merge = nn.ModuleList(operations), merge

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        nodes = {0: x}
        for (source, target), operation in zip(self.edges, self.operations, strict=True):
            y = operation(nodes[source])
            nodes[target] = self.merge(nodes[target], y) if target in nodes else y
        # No edge enters the output of a dead cell: it is zero, as in the benchmark.
        return nodes[self.output] if self.output in nodes else x * 0
