"""Scores of a network's outputs: accuracy, or a user's own."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tailorbird.errors import ContractError

Score = Callable[[NDArray[Any], NDArray[np.int64]], float]
"""Score of outputs (n, …) for labels (n,), from 0 to 1."""


def accuracy(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Fraction of outputs (n, classes) that are largest at their label."""
    return float((outputs.argmax(axis=1) == labels).mean())


def as_score(given: object) -> float:
    """Returns what an evaluator gave as a float; arrays and tensors of no dimension are numbers.

    Raises:
        ContractError: if it is none, or none from 0 to 1.
    """
    value = given.item() if isinstance(given, np.ndarray | Tensor) and given.ndim == 0 else given
    if not isinstance(value, Real):
        raise ContractError(
            f"A score must be one number, but the evaluator gave {type(given).__name__}. Give a "
            "float from 0 to 1."
        )
    score = float(value)
    if not 0 <= score <= 1:
        per_cent = " Divide per cents by 100." if 1 < score <= 100 else ""
        raise ContractError(
            f"A score must lie between 0 and 1, but the evaluator gave {score}.{per_cent}"
        )
    return score
