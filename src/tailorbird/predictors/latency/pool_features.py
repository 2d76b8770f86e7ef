"""Encodings as non-negative features in which latency is nearly additive."""

from typing import Protocol

import numpy as np

from tailorbird.spaces import FloatArray, IntArray


class EncodingFeatures(Protocol):
    """Turns encodings into features; the product of two rows, over `width`, is their similarity."""

    @property
    def width(self) -> float:
        """Product of a usual row with itself."""

    def __call__(self, X: IntArray) -> FloatArray:
        """Features (n, p) of encodings (n, d)."""


class OneHot:
    """One column per choice of each variable that some architecture has.

    Args:
        encodings: of which the choices are learned, (n, d).
    """

    def __init__(self, encodings: IntArray) -> None:
        self._choices = [np.unique(column) for column in encodings.T]

    @property
    def width(self) -> float:
        """The number of variables."""
        return float(len(self._choices))

    def __call__(self, X: IntArray) -> FloatArray:
        """Features (n, p) of encodings (n, d).

        Raises:
            ValueError: if there are more or fewer variables, or a choice is new.
        """
        if X.ndim != 2 or X.shape[1] != len(self._choices):
            raise ValueError(
                f"Encodings must have {len(self._choices)} variables like those of the pool, but "
                f"got {X.shape=}."
            )
        for i, (column, choices) in enumerate(zip(X.T, self._choices, strict=True)):
            unknown = ~np.isin(column, choices)
            if unknown.any():
                raise ValueError(
                    f"Variable {i} must be one that the pool knows, {choices.tolist()}, but row "
                    f"{np.argmax(unknown)} has {column[np.argmax(unknown)]}. Encodings of another "
                    "space? Otherwise add architectures with it to the pool."
                )
        columns = zip(X.T, self._choices, strict=True)
        return np.hstack([column[:, None] == choices for column, choices in columns]).astype(float)
