"""Low-rank updates (LoRA) of stitching layers that start from least squares."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class LowRankUpdate(nn.Module):
    """A weight as a frozen base plus a product of two thin matrices over their rank.

    References:
        Pan, Liu, He, Cai, Zhuang: Stitched ViTs are Flexible Vision Backbones. ECCV 2024.
        Hu et al.: LoRA: Low-Rank Adaptation of Large Language Models. ICLR 2022.
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        n_out, n_in = weight.shape[:2]
        self.down = nn.Parameter(torch.empty(rank, n_in))
        self.up = nn.Parameter(torch.zeros(n_out, rank))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, base: Tensor) -> Tensor:
        """A weight of the shape of `base`."""
        return base + (self.up @ self.down).view_as(base) / len(self.down)


def freeze(layers: Iterable[nn.Module], rank: int) -> None:
    """Freezes the weight of each layer, and adds a low-rank update that is trained."""
    for layer in layers:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        parametrize.register_parametrization(layer, "weight", LowRankUpdate(weight, rank))
        layer.get_parameter("parametrizations.weight.original").requires_grad_(False)


def merge(layers: Iterable[nn.Module]) -> None:
    """Adds the updates to the weights: layers are plain again and as fast."""
    for layer in layers:
        parametrize.remove_parametrizations(layer, "weight")
        layer.get_parameter("weight").requires_grad_(True)
