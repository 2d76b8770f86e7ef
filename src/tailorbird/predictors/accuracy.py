"""Accuracy of networks that were not evaluated, from those that were."""

import warnings
from typing import Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from tailorbird.predictors.prediction import FloatArray, Prediction
from tailorbird.spaces import IntArray, SearchSpace


class AccuracyProcess:
    """A Gaussian process over workload counts and one-hot encodings.

    Counts say how much of a network is of what kind, encodings where it changes from one to the
    other. The process learns how networks differ on the images that they were evaluated on; how
    far those images stand for others is the same for all of them, so it cannot be seen in their
    differences, and is added to the variance as binomial error.

    Args:
        space: of the architectures.
        n_images: on which accuracies were measured.

    References:
        Rasmussen, Williams: Gaussian Processes for Machine Learning. MIT Press 2006.
    """

    def __init__(self, space: SearchSpace, n_images: int) -> None:
        self.space = space
        self.n_images = n_images

    def fit(self, X: IntArray, y: FloatArray) -> Self:
        """Learns from accuracies y (n,) of canonical rows X (n, d)."""
        kernel = ConstantKernel(1.0) * Matern(2.0, (0.1, 200.0), nu=1.5) + WhiteKernel(0.1)
        self.process_ = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        with warnings.catch_warnings():
            # A parameter at its bound is an answer: no noise, or no structure.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.process_.fit(self._features(X), y)
        return self

    def predict(self, X: IntArray) -> Prediction:
        """Accuracies of canonical rows (n, d), as fractions."""
        mean, std = self.process_.predict(self._features(X), return_std=True)
        p = np.clip(mean, 0.0, 1.0)
        return Prediction(mean, np.sqrt(std**2 + p * (1 - p) / self.n_images))

    def mean(self, X: IntArray) -> FloatArray:
        """The accuracies alone, (n,): far cheaper than how sure they are."""
        return np.asarray(self.process_.predict(self._features(X)))

    def _features(self, X: IntArray) -> FloatArray:
        choices = [np.arange(len(variable.choices)) for variable in self.space.variables]
        one_hot = [X[:, [i]] == choice for i, choice in enumerate(choices)]
        counts = self.space.count_workloads(X).toarray()
        return np.hstack([counts, *one_hot]).astype(np.float64)
