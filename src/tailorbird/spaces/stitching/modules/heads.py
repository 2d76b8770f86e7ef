"""Torch module of the head that residual networks for small images share."""

from torch import Tensor, nn


class Head(nn.Module):
    """Mean over pixels, then one linear layer."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to logits (n, classes)."""
        logits: Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits
