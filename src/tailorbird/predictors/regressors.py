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

from tailorbird.spaces import FloatArray


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
    """Bayesian linear regression, in the directions that samples span.

    The square of the number of features would not always fit into memory. But a prior that is the
    same in all directions is so in every rotation: samples tell of the few directions that they
    span, and in all others weights stay what the prior says, zero with its variance.

    Attributes:
        coef_: weights, (p,).
        intercept_: value where all features are 0.

    References:
        MacKay: Bayesian Interpolation. Neural Computation 4, 1992.
    """

    def fit(self, F: FloatArray, y: FloatArray) -> Self:
        """Learns from features (n, p)."""
        self._offset = F.mean(axis=0)
        left, lengths, self._directions = np.linalg.svd(F - self._offset, full_matrices=False)
        self._model = BayesianRidge().fit(left * lengths, y)
        self.coef_ = self._model.coef_ @ self._directions
        self.intercept_ = float(self._model.intercept_ - self._offset @ self.coef_)
        return self

    def refit(self, F: FloatArray, y: FloatArray) -> "Ridge":
        """Tunes anew, which costs next to nothing."""
        return Ridge().fit(F, y)

    def predict(self, F: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and stds."""
        from_offset = F - self._offset
        spanned = from_offset @ self._directions.T
        beside = np.square(from_offset).sum(axis=1) - np.square(spanned).sum(axis=1)
        _, std = self._model.predict(spanned, return_std=True)
        return self.mean(F), np.sqrt(std**2 + np.maximum(beside, 0.0) / self._model.lambda_)

    def mean(self, F: FloatArray) -> FloatArray:
        """The means alone."""
        return np.asarray(F @ self.coef_ + self.intercept_)


MOST_IN_PAIRS = 5_000
"""Samples that a Gaussian process learns from: it takes 2 GiB for the derivatives of all pairs."""


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
        """Tunes signal, length scale and noise by their likelihood.

        Raises:
            ValueError: of more samples than fit into memory, pair by pair.
        """
        if len(F) > MOST_IN_PAIRS:
            raise ValueError(
                f"A Gaussian process learns from at most {MOST_IN_PAIRS:,} samples, but got "
                f"{len(F):,}. Take fewer, or another model, such as ridge or forest."
            )
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
        """The means alone: distances by matrix products, in blocks that stay in the cache."""
        signal, matern = self.model_.kernel_.k1.k1, self.model_.kernel_.k1.k2
        reach = np.sqrt(2 * self.nu) / matern.length_scale
        known = reach * self.model_.X_train_.T
        known_squares = np.square(known).sum(axis=0)
        weights = self._unit * signal.constant_value * self.model_.alpha_
        means = np.empty(len(F))
        for start in range(0, len(F), _BLOCK):
            block = reach * F[start : start + _BLOCK]
            distance = block @ (-2 * known)
            distance += known_squares
            distance += np.square(block).sum(axis=1)[:, None]
            np.maximum(distance, 0.0, out=distance)
            np.sqrt(distance, out=distance)
            means[start : start + _BLOCK] = _matern(distance, self.nu) @ weights
        return means + self._offset


_BLOCK = 256


def _matern(distance: FloatArray, nu: float) -> FloatArray:
    """Correlation at distances that are scaled by sqrt(2 nu) over the length scale."""
    kernel = np.exp(-distance)
    if nu == 0.5:
        return kernel
    polynomial = 1.0 + distance if nu == 1.5 else 1.0 + distance + np.square(distance) / 3
    kernel *= polynomial
    return kernel


class Members:
    """Regressors of one kind that differ in their seed or their samples; they vote.

    The std is how far they lie apart, but never next to nothing: where members agree, all of them
    may be wrong. How much wider it has to be, held-out samples tell.

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


class Forest:
    """Extremely randomised trees.

    Args:
        max_features: share that each split chooses from.
        min_samples_leaf: samples at the end of a branch.

    References:
        Geurts, Ernst, Wehenkel: Extremely Randomized Trees. Machine Learning 63, 2006.
    """

    def __init__(self, max_features: float = 0.5, min_samples_leaf: int = 1) -> None:
        self.max_features = max_features
        self.min_samples_leaf = min_samples_leaf

    def fit(self, F: FloatArray, y: FloatArray) -> Self:
        """Learns from features (n, p)."""
        trees = ExtraTreesRegressor(
            _N_TREES,
            max_features=self.max_features,
            min_samples_leaf=self.min_samples_leaf,
            random_state=0,
        ).fit(F, y)
        self.trees_ = [tree.tree_ for tree in trees.estimators_]
        self._least_std = _LEAST_SPREAD * float(y.std())
        return self

    def refit(self, F: FloatArray, y: FloatArray) -> "Forest":
        """Learns anew."""
        return Forest(self.max_features, self.min_samples_leaf).fit(F, y)

    def predict(self, F: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and stds over trees."""
        rows = np.ascontiguousarray(F, dtype=np.float32)
        each = np.stack([tree.predict(rows)[:, 0] for tree in self.trees_])
        return each.mean(axis=0), np.maximum(each.std(axis=0), self._least_std)

    def mean(self, F: FloatArray) -> FloatArray:
        """The means alone."""
        rows = np.ascontiguousarray(F, dtype=np.float32)
        total = np.zeros(len(F))
        for tree in self.trees_:
            total += tree.predict(rows)[:, 0]
        return total / len(self.trees_)


_N_TREES = 100


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
