"""Checks of what predictors are given: rows, samples, and that they were fitted."""

import numpy as np
from numpy.typing import ArrayLike

from tailorbird.errors import NotFittedError
from tailorbird.spaces import FloatArray, IntArray


def as_rows(X: ArrayLike) -> IntArray:
    """Encodings (n, d) of whole numbers, whatever holds them.

    Raises:
        ValueError: if it is no table of whole numbers.
    """
    rows = np.asarray(X)
    if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.number):
        raise ValueError(
            f"Encodings must be whole numbers of shape (n, d), but got {rows.dtype} of shape "
            f"{rows.shape}."
        )
    whole = rows.astype(np.int64)
    if not np.array_equal(whole, rows):
        raise ValueError("Encodings must be whole numbers: each the index of a choice.")
    return whole


def check(X: IntArray, y: FloatArray, fewest: int) -> None:
    """Refuses samples from which nothing, or nothing sound, can be learned.

    Args:
        X: rows (n, d).
        y: their values, (n,).
        fewest: samples that the predictor needs.

    Raises:
        ValueError: if shapes differ, there are too few, or values are not finite or all the same.
    """
    if X.ndim != 2 or y.shape != X.shape[:1]:
        raise ValueError(
            f"`X` (n, d) and `y` (n,) must have equal n, but got {X.shape=}, {y.shape=}."
        )
    if len(y) < fewest:
        raise ValueError(f"At least {fewest} samples are needed, but got {len(y)}. Evaluate more.")
    wrong = ~np.isfinite(y)
    if wrong.any():
        raise ValueError(
            f"`y` must be finite, but {wrong.sum()} of {len(y)} values are not (first: "
            f"y[{np.argmax(wrong)}] = {y[np.argmax(wrong)]}). Measure them again or leave them out."
        )
    if np.ptp(y) == 0:
        raise ValueError(
            f"`y` must vary, but all {len(y)} values are {y[0]}. There is nothing to learn."
        )


def check_is_fitted(predictor: object) -> None:
    """Refuses a predictor that has learned nothing: one without attributes that end in `_`.

    Raises:
        NotFittedError: if so.
    """
    if not any(name.endswith("_") and not name.startswith("_") for name in vars(predictor)):
        raise NotFittedError(
            f"A predictor must be fitted before it predicts, but this {type(predictor).__name__} "
            "was not. Call `fit` first."
        )
