"""Samples of evaluated networks: what predictors of accuracy learn from, and test on."""

from collections.abc import Callable

import numpy as np
from sklearn.model_selection import KFold

from tailorbird.predictors import cross_validation
from tailorbird.predictors.accuracy import log_error
from tailorbird.predictors.prediction import Prediction
from tailorbird.predictors.regressors import Regressor
from tailorbird.predictors.sample_checks import as_rows, check
from tailorbird.spaces import FloatArray, IntArray

FEWEST = 5
_CHUNK = 4_096  # rows
_NUMBERS = 2**24  # features of as many rows
_FOLDS, _FOLDS_OF_FEW, _FEW = 5, 10, 60  # few samples must not become much fewer


def samples(X: IntArray, y: FloatArray) -> tuple[IntArray, FloatArray]:
    """Rows (n, d) and accuracies (n,) that a predictor can learn from.

    Raises:
        ValueError: if there are fewer than 5, or accuracies are not finite, not fractions or all
            the same.
    """
    X, y = as_rows(X), np.asarray(y, dtype=np.float64)
    check(X, y, FEWEST)
    log_error.check(y)
    return X, y


def by_chunks(
    values: Callable[[IntArray], FloatArray], X: IntArray, n_features: int, n_values: int = 1
) -> FloatArray:
    """Values of rows (n, d), (n_values, n), in chunks, so that features do not fill the memory.

    Args:
        values: gives those of some rows.
        X: all rows.
        n_features: of a row.
        n_values: of a row.
    """
    chunk = max(1, min(_CHUNK, _NUMBERS // max(n_features, 1)))
    chunks = [values(X[start : start + chunk]) for start in range(0, len(X), chunk)]
    return np.hstack([np.empty((n_values, 0)), *(np.atleast_2d(rows) for rows in chunks)])


def left_out(regressor: Regressor, F: FloatArray, z: FloatArray) -> Prediction:
    """Each of n samples as predicted by regressors that did not see its fold.

    Args:
        regressor: fitted to all of them, so that it is tuned.
        F: features, (n, p).
        z: values, (n,).
    """
    n_folds = min(len(z), _FOLDS_OF_FEW if len(z) < _FEW else _FOLDS)
    return cross_validation.left_out(
        KFold(n_folds, shuffle=True, random_state=0).split(F),
        lambda rest, out: regressor.refit(F[rest], z[rest]).predict(F[out]),
    )
