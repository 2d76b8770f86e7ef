"""How often each part of a network learned."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn

FEW = 100
"""Updates below which a part of a network has hardly learned anything."""


@dataclass(frozen=True, slots=True)
class Updates:
    """Numbers of steps in which parts of a network learned.

    Attributes:
        weights: of each part, those that learn.
        counts: by part; of parts that no step has reached as well.
    """

    weights: Mapping[str, list[Tensor]]
    counts: dict[str, int]

    @classmethod
    def of(cls, network: nn.Module, learning: Iterable[Tensor]) -> Self:
        """Counts of a network's `parts` of which some weights learn, none of them yet."""
        own, weights = {id(p) for p in learning}, defaultdict[str, list[Tensor]](list)
        for name, parameter in network.named_parameters():
            if id(parameter) in own:
                weights[_part_of(name)].append(parameter)
        return cls(dict(weights), dict.fromkeys(weights, 0))

    def add(self) -> None:
        """Counts the parts that have gradients."""
        for part, weights in self.weights.items():
            if any(weight.grad is not None for weight in weights):
                self.counts[part] += 1

    @property
    def few(self) -> list[str]:
        """Parts with too few updates, those with the fewest first."""
        return sorted((p for p, n in self.counts.items() if n < FEW), key=self.counts.__getitem__)

    def __str__(self) -> str:
        least = min(self.counts, key=self.counts.__getitem__)
        median = statistics.median(self.counts.values())
        return (
            f"each of {len(self.counts)} parts learned in {self.counts[least]} steps or more "
            f"({least}), half of them in {median:g}"
        )


def _part_of(name: str) -> str:
    """Part that a parameter belongs to, by the name that a network has for it."""
    return name.removeprefix("parts.").partition(".")[0]
