"""Accuracies that were measured, where they were, and predictions elsewhere."""

import numpy as np
from numpy.typing import NDArray

from tailorbird.notebook import counted
from tailorbird.predictors.prediction import Prediction, Predictor
from tailorbird.spaces import FloatArray, IntArray


class KnownAccuracy:
    """Looks networks up; those that are not known are left to another predictor.

    Args:
        X: canonical rows of the known networks, (n, d).
        y: their accuracies, as fractions, (n,).
        std: of y, (n,).
        others: predicts the rest.
    """

    def __init__(self, X: IntArray, y: FloatArray, std: FloatArray, others: Predictor) -> None:
        self.others = others
        rows = map(tuple, X.tolist())
        self._known = dict(zip(rows, zip(y.tolist(), std.tolist(), strict=True), strict=True))

    def __repr__(self) -> str:
        return f"KnownAccuracy({counted(len(self._known), 'network')}, {self.others!r})"

    def predict(self, X: IntArray) -> Prediction:
        """Accuracies of canonical rows (n, d), as fractions."""
        values, unknown = self._look_up(X)
        if unknown.any():
            predicted = self.others.predict(X[unknown])
            values[unknown] = np.column_stack([predicted.mean, predicted.std])
        return Prediction(values[:, 0].copy(), values[:, 1].copy())

    def mean(self, X: IntArray) -> FloatArray:
        """The accuracies alone, (n,)."""
        values, unknown = self._look_up(X)
        if unknown.any():
            values[unknown, 0] = self.others.mean(X[unknown])
        return values[:, 0].copy()

    def _look_up(self, X: IntArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Mean and std of each row, (n, 2), and which rows are not known, (n,)."""
        found = [self._known.get(tuple(row)) for row in X.tolist()]
        unknown = np.array([value is None for value in found], dtype=bool)
        return np.array([value or (np.nan, np.nan) for value in found]).reshape(-1, 2), unknown
