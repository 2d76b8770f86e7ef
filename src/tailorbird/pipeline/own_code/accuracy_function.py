"""Functions of a user's own that give accuracies of networks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from tailorbird.errors import ContractError, shown
from tailorbird.pipeline.python_path import users_code
from tailorbird.spaces import Architecture, FloatArray, IntArray, SearchSpace

_FRACTION = "accuracies from 0 to 1"
_DIVIDE = "Divide per cents by 100."


@dataclass(frozen=True, slots=True)
class EachNetwork:
    """Evaluates networks one by one.

    Attributes:
        space: of the networks.
        function: the user's, of an `Architecture`.
        named: where the recipe names it.
        most_at_once: so that a kill loses the one in hand only.
    """

    most_at_once: ClassVar = 1
    way_out: ClassVar = "Raise an error where a network has no accuracy."

    space: SearchSpace
    function: Callable[[Architecture], Any]
    named: str

    def __call__(self, X: IntArray) -> FloatArray:
        """Accuracies (n,) of canonical rows (n, d).

        Raises:
            RecipeError: if the function raises, or gives no accuracy.
        """
        return np.array([self._accuracy(row) for row in X])

    def _accuracy(self, row: IntArray) -> float:
        with users_code(self.named):
            given = self.function(Architecture(row.copy(), self.space))
            value = given.item() if getattr(given, "ndim", None) == 0 else given
            _require(isinstance(value, Real), "one number", given, self.way_out)
            _require(0 <= float(value) <= 1, _FRACTION, value, f"{_DIVIDE} {self.way_out}")
            return float(value)


@dataclass(frozen=True, slots=True)
class NetworksTogether:
    """Evaluates networks in lists, as a cluster does.

    Attributes:
        space: of the networks.
        function: the user's, of a list of `Architecture`.
        named: where the recipe names it.
        most_at_once: all that a search wants to know at a time.
    """

    most_at_once: ClassVar = 10_000
    way_out: ClassVar = "In one list or array, give NaN where a network has no accuracy."

    space: SearchSpace
    function: Callable[[list[Architecture]], Any]
    named: str

    def __call__(self, X: IntArray) -> FloatArray:
        """Accuracies (n,) of canonical rows (n, d); NaN for those that have none.

        Raises:
            RecipeError: if the function raises, or gives no accuracies.
        """
        with users_code(self.named):
            given = self.function([Architecture(row.copy(), self.space) for row in X])
            values = np.asarray(given)
            is_right = values.shape == (len(X),) and values.dtype.kind in "fiub"
            numbers = f"as many numbers as there are networks, here {len(X)}"
            _require(is_right, numbers, given, self.way_out)
            accuracies = values.astype(np.float64)
            outside = (accuracies < 0) | (accuracies > 1)
            first = accuracies[outside][:1].tolist()
            _require(not first, _FRACTION, first, f"{_DIVIDE} {self.way_out}")
            return accuracies


KINDS: Mapping[str, type[EachNetwork | NetworksTogether]] = {
    "function": EachNetwork,
    "batch_function": NetworksTogether,
}
"""What calls the function that a key of [accuracy] names."""


def _require(holds: object, what: str, got: object, way_out: str) -> None:
    if not holds:
        raise ContractError(f"It must give {what}, but gave {shown(got)}. {way_out}")
