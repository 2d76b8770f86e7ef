"""Evaluations of somebody's, before it is known whether their networks are of a space."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tailorbird.errors import EncodingError
from tailorbird.spaces import FloatArray, IntArray, SearchSpace


@dataclass(frozen=True, slots=True, eq=False)
class EarlierRows:
    """Networks with their measured accuracies, as a file or study of somebody's holds them.

    Attributes:
        X: any rows of a space, (n, d).
        accuracy: of each, (n,).
        source: where they are, for messages.
        place: what `numbers` count there, such as `line`.
        numbers: of each, (n,).
    """

    X: IntArray
    accuracy: FloatArray
    source: str
    place: str
    numbers: Sequence[int]

    def within(self, space: SearchSpace) -> tuple[IntArray, FloatArray]:
        """Distinct canonical rows (n, d) with their accuracies as fractions, (n,), in their order.

        Raises:
            EncodingError: if a row is none of the space, an accuracy is none, or two accuracies of
                one network differ.
        """
        X = self._checked(space)
        order = np.sort(self._first_of_equals(X, space))
        return X[order], self.accuracy[order]

    def averaged(self, space: SearchSpace) -> tuple[IntArray, FloatArray]:
        """Distinct canonical rows (n, d) with the means of their accuracies as fractions, (n,).

        Rows that encode one network in several ways, with dead edges for instance, may differ, but
        not those that encode it in the same way.

        Raises:
            EncodingError: as `within`.
        """
        X = self._checked(space)
        once = np.sort(self._first_of_equals(self.X, space))  # what is there twice counts once
        X, y = X[once], self.accuracy[once]
        _, first, which = np.unique(X, axis=0, return_index=True, return_inverse=True)
        means = np.bincount(which.ravel(), y) / np.bincount(which.ravel())
        order = np.argsort(first)
        return X[first[order]], means[order]

    def _checked(self, space: SearchSpace) -> IntArray:
        """Canonical rows, once choices and accuracies are known to be such, (n, d)."""
        self._check_choices(space)
        outside = ~((self.accuracy >= 0) & (self.accuracy <= 1))  # NaN is as well
        if outside.any():
            row = int(np.argmax(outside))
            raise EncodingError(
                f"Accuracies must be fractions from 0 to 1 in {self.source}, but {self._at(row)} "
                f"has {float(self.accuracy[row])!r}. Divide per cents by 100, and leave out "
                "networks without one."
            )
        return space.repair(self.X)

    def _first_of_equals(self, X: IntArray, space: SearchSpace) -> IntArray:
        """Places of the distinct ones among rows (n, d), where they are met first.

        Raises:
            EncodingError: if two of them have different accuracies.
        """
        _, first, which = np.unique(X, axis=0, return_index=True, return_inverse=True)
        differs = self.accuracy != self.accuracy[first][which.ravel()]
        if differs.any():
            row = int(np.argmax(differs))
            before = int(first[which.ravel()[row]])
            text = space.describe(space.repair(X[row : row + 1])[0])
            raise EncodingError(
                f"A network has one accuracy, but in {self.source} {self._at(before)} and "
                f"{self._at(row)} are both {text}, with "
                f"{float(self.accuracy[before])!r} and {float(self.accuracy[row])!r}. Keep one of "
                "them, or their mean."
            )
        return first

    def _check_choices(self, space: SearchSpace) -> None:
        most = np.array([len(variable.choices) - 1 for variable in space.variables])
        wrong = (self.X < 0) | (most < self.X)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise EncodingError(
                f"`0 <= {space.variables[column].name} <= {most[column]}` must hold in "
                f"{self.source}, but {self._at(row)} has {self.X[row, column]}."
            )

    def _at(self, row: int) -> str:
        return f"{self.place} {self.numbers[row]}"
