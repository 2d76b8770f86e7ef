"""Accuracy of networks that were not evaluated, from those that were."""

import warnings
from typing import Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tailorbird.predictors.prediction import FloatArray, Prediction
from tailorbird.spaces import IntArray, SearchSpace


class AccuracyProcess:
    """A Gaussian process over one-hot encodings.

    The std is that of an accuracy measured on as many images as those it learned from: it holds
    their binomial error.

    Args:
        space: of the architectures.

    References:
        Rasmussen, Williams: Gaussian Processes for Machine Learning. MIT Press 2006.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    def fit(self, X: IntArray, y: FloatArray) -> Self:
        """Learns from accuracies y (n,) of canonical rows X (n, d)."""
        kernel = ConstantKernel(1.0) * Matern(5.0, (0.5, 100.0), nu=1.5) + WhiteKernel(0.1)
        choices = [np.arange(len(variable.choices)) for variable in self.space.variables]
        self.pipeline_ = Pipeline(
            [
                ("one_hot", OneHotEncoder(categories=choices, sparse_output=False)),
                ("scale", StandardScaler()),
                ("process", GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)),
            ]
        )
        with warnings.catch_warnings():
            # A parameter at its bound is an answer: no noise, or no structure.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.pipeline_.fit(X, y)
        return self

    def predict(self, X: IntArray) -> Prediction:
        """Accuracies of canonical rows (n, d), as fractions."""
        return Prediction(*self.pipeline_.predict(X, return_std=True))
