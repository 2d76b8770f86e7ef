"""Averages of weights over the steps of training."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class WeightAverages:
    """Exponential moving averages of the weights that learn; none if their decay is 0.

    Attributes:
        weights: by name, those that learn.
        values: by name, their averages, which a checkpoint keeps.
        decay: share of an average that a step keeps; less in the first steps.

    References:
        Polyak, Juditsky: Acceleration of Stochastic Approximation by Averaging. SIAM Journal on
        Control and Optimization, 1992.
    """

    weights: Mapping[str, Tensor]
    values: dict[str, Tensor]
    decay: float

    @classmethod
    def of(cls, network: nn.Module, learning: Iterable[Tensor], decay: float) -> Self:
        """Averages of a network's weights, of no steps yet."""
        own = {id(p) for p in learning} if decay else set[int]()
        weights = {name: p for name, p in network.named_parameters() if id(p) in own}
        return cls(weights, {n: w.detach().clone() for n, w in weights.items()}, decay)

    @torch.no_grad()
    def add(self, n_steps: int) -> None:
        """Takes in the weights after so many steps."""
        if self.weights:
            share = 1 - min(self.decay, (1 + n_steps) / (10 + n_steps))
            torch._foreach_lerp_([*self.values.values()], [*self.weights.values()], share)

    @torch.no_grad()
    def put(self) -> None:
        """Puts the averages in the place of the weights; call once training is done."""
        for name, weight in self.weights.items():
            weight.copy_(self.values[name])
