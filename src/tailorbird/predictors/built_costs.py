"""Costs of whole networks, where it is not known what workloads they consist of."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.predictors.prediction import Prediction
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.footprint import built_on_meta

if TYPE_CHECKING:
    from torch import nn

Count = Callable[["nn.Module", tuple[tuple[int, ...], ...]], float]
"""Counts a module on torch's meta device, given the shape of each input."""


class BuiltCost:
    """Cost that is counted on networks, each built once, on torch's meta device.

    That takes milliseconds for each new network, and does not add up along paths.

    Args:
        space: of the architectures.
        count: what a network costs.
    """

    def __init__(self, space: SearchSpace, count: Count) -> None:
        self.space = space
        self.count = count
        self._known: dict[bytes, float] = {}

    def predict(self, X: IntArray) -> Prediction:
        """Costs of canonical rows (n, d), with std 0."""
        return Prediction(self.mean(X), np.zeros(len(X)))

    def mean(self, X: IntArray) -> FloatArray:
        """The costs alone, (n,)."""
        return np.array([self._cost(row) for row in X], dtype=np.float64)

    def _cost(self, row: IntArray) -> float:
        key = np.ascontiguousarray(row, dtype=np.int64).tobytes()
        if key not in self._known:
            network = built_on_meta(partial(self.space.build, row))
            self._known[key] = self.count(network, (self.space.input_shape,))
        return self._known[key]
