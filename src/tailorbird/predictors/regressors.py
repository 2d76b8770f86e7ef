"""Regressors from features to a mean with its std: one small contract over scikit-learn's."""

import warnings
from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import BayesianRidge
from sklearn.neural_network import MLPRegressor

from tailorbird.predictors.prediction import FloatArray


class Regressor(Protocol):
    """Features (n, p) to values."""

    def fit(self, F: FloatArray, y: FloatArray) -> Self:
        """Learns values y (n,) and what it is tuned by."""

    def refit(self, F: FloatArray, y: FloatArray) -> "Regressor":
        """A new one for other samples, tuned as this one is; for cross-validation."""

    def predict(self, F: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and stds, (n,) each."""

    def mean(self, F: FloatArray) -> FloatArray:
        """The means alone, (n,)."""


class Ridge:
    """Bayesian linear regression.

    References:
        MacKay: Bayesian Interpolation. Neural Computation 4, 1992.
    """

    def fit(self, F: FloatArray, y: FloatArray) -> Self:
        """Learns from features (n, p)."""
        self.model_ = BayesianRidge().fit(F, y)
        return self

    def refit(self, F: FloatArray, y: FloatArray) -> "Ridge":
        """Tunes anew, which costs next to nothing."""
        return Ridge().fit(F, y)

    def predict(self, F: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and stds."""
        mean, std = self.model_.predict(F, return_std=True)
        return mean, std

    def mean(self, F: FloatArray) -> FloatArray:
        """The means alone."""
        return np.asarray(self.model_.predict(F))


class Process:
    """A Gaussian process with one length scale.

    Args:
        nu: smoothness of the Matérn kernel, 0.5, 1.5 or 2.5.

    References:
        Rasmussen, Williams: Gaussian Processes for Machine Learning. MIT Press 2006.
    """

    def __init__(self, nu: float = 1.5) -> None:
        self.nu = nu

    def fit(self, F: FloatArray, y: FloatArray) -> Self:
        """Tunes signal, length scale and noise by their likelihood."""
        typical = np.sqrt(F.shape[1])
        matern = Matern(typical, (typical / 50, typical * 50), nu=self.nu)
        return self._fit(ConstantKernel(1.0) * matern + WhiteKernel(0.1), F, y)

    def refit(self, F: FloatArray, y: FloatArray) -> "Process":
        """Keeps the kernel."""
        return Process(self.nu)._fit(self.model_.kernel_, F, y, optimizer=None)

    def _fit(
        self, kernel: Any, F: FloatArray, y: FloatArray, optimizer: str | None = "fmin_l_bfgs_b"
    ) -> Self:
        model = GaussianProcessRegressor(
            kernel, normalize_y=True, random_state=0, optimizer=optimizer
        )
        with warnings.catch_warnings():
            # A parameter at its bound is an answer: no noise, or no structure.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model_ = model.fit(F, y)
        self._unit = float(y.std()) or 1.0
        self._offset = float(y.mean())
        return self

    def predict(self, F: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and stds, noise included."""
        mean, std = self.model_.predict(F, return_std=True)
        return mean, std

    def mean(self, F: FloatArray) -> FloatArray:
        """The means alone, by one matrix product instead of a distance at a time."""
        signal, matern = self.model_.kernel_.k1.k1, self.model_.kernel_.k1.k2
        known = self.model_.X_train_ / matern.length_scale
        scaled = F / matern.length_scale
        squares = np.square(scaled).sum(axis=1)[:, None] + np.square(known).sum(axis=1)
        squares -= 2 * scaled @ known.T
        distance = np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)
        kernel = _matern(distance, self.nu)
        values = signal.constant_value * kernel @ self.model_.alpha_
        return np.asarray(self._offset + self._unit * values)


def _matern(distance: FloatArray, nu: float) -> FloatArray:
    scaled = np.sqrt(2 * nu) * distance
    polynomial = {0.5: 1.0, 1.5: 1.0 + scaled, 2.5: 1.0 + scaled + scaled**2 / 3}[nu]
    return np.asarray(polynomial * np.exp(-scaled))


class Members:
    """Regressors of one kind that differ in their seed or their samples; they vote.

    Where members agree, noise remains: the std holds what they are off by on average on samples
    that they did not see, as well as how far they lie apart.

    Args:
        make: a scikit-learn regressor from a seed.
        n: of members.
        resampled: whether each learns from a bootstrap sample instead of all.
    """

    def __init__(
        self, make: Callable[[int], RegressorMixin], n: int, resampled: bool = False
    ) -> None:
        self.make = make
        self.n = n
        self.resampled = resampled

    def fit(self, F: FloatArray, y: FloatArray) -> Self:
        """Learns from features (n, p)."""
        rng = np.random.default_rng(0)
        self._unit, self._offset = float(y.std()) or 1.0, float(y.mean())
        scaled = (y - self._offset) / self._unit
        self.members_ = []
        for seed in range(self.n):
            rows = rng.integers(len(y), size=len(y)) if self.resampled else np.arange(len(y))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # of short training, on purpose
                self.members_.append(self.make(seed).fit(F[rows], scaled[rows]))
        return self

    def refit(self, F: FloatArray, y: FloatArray) -> "Members":
        """Learns anew."""
        return Members(self.make, self.n, self.resampled).fit(F, y)

    def predict(self, F: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and stds over members."""
        each = self._each(F)
        spread = np.maximum(each.std(axis=0), _LEAST_SPREAD)
        return self._offset + self._unit * each.mean(axis=0), self._unit * spread

    def mean(self, F: FloatArray) -> FloatArray:
        """The means alone."""
        return np.asarray(self._offset + self._unit * self._each(F).mean(axis=0))

    def _each(self, F: FloatArray) -> FloatArray:
        return np.stack([member.predict(F) for member in self.members_])


_LEAST_SPREAD = 0.05  # of the targets' std: members that agree may still all be wrong


def forest(max_features: float = 0.5, min_samples_leaf: int = 1) -> Members:
    """Extremely randomised trees (Geurts, Ernst, Wehenkel 2006), in ten groups that vote."""
    return Members(
        lambda seed: ExtraTreesRegressor(
            10, max_features=max_features, min_samples_leaf=min_samples_leaf, random_state=seed
        ),
        10,
    )


def boosting(learning_rate: float = 0.1, max_depth: int = 3) -> Members:
    """Stochastic gradient boosting (Friedman 2002)."""
    return Members(
        lambda seed: GradientBoostingRegressor(
            n_estimators=100,
            learning_rate=learning_rate,
            max_depth=max_depth,
            subsample=0.5,
            max_features=0.5,
            random_state=seed,
        ),
        4,
    )


def perceptrons(width: int = 32, alpha: float = 1.0) -> Members:
    """Small multi-layer perceptrons on bootstrap samples (Lakshminarayanan et al. 2017)."""
    return Members(
        lambda seed: MLPRegressor(
            hidden_layer_sizes=(width,),
            activation="tanh",
            alpha=alpha,
            solver="lbfgs",
            max_iter=150,
            random_state=seed,
        ),
        4,
        resampled=True,
    )
