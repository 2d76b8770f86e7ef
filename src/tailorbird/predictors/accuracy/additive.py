"""Accuracy that adds up along the paths of a layered space, so that exact methods apply."""

from typing import Self

from sklearn.base import BaseEstimator

from tailorbird.errors import TooManySamplesError
from tailorbird.predictors import conformal
from tailorbird.predictors.accuracy import log_error
from tailorbird.predictors.accuracy.evaluated_samples import by_chunks, left_out, samples
from tailorbird.predictors.accuracy.inputs import AccuracyInputs
from tailorbird.predictors.accuracy.path_features import PathFeatures, layered
from tailorbird.predictors.prediction import Prediction
from tailorbird.predictors.regressors import Ridge
from tailorbird.predictors.sample_checks import as_rows, check_is_fitted
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.layered import LayeredGraph
from tailorbird.spaces.path_sum import PathSum, PathValues

_MOST_NUMBERS = 2**27
"""Largest product of networks and steps to learn from: a GiB of features."""


class AdditiveAccuracy(BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """Accuracy to which every choice adds an effect of its own, on the scale of logarithmic errors.

    The effects are learned by Bayesian ridge regression. What a choice adds is made of a part that
    it has in every context, a part of its own in each context that the states of the graph tell
    apart (in Once-for-all, kernel and depth of the stage), and what multiply-adds and parameters
    are worth anywhere. The fewer the samples, the more the general parts tell. Stds are
    calibrated as those of `AccuracyPredictor` are.

    Args:
        space: of the architectures, a layered one.
        n_images: on which accuracies were measured; None to leave their error out.
    """

    def __init__(self, space: SearchSpace, n_images: int | None = None) -> None:
        self.space = space
        self.n_images = n_images

    def __repr__(self) -> str:
        return f"AdditiveAccuracy({self.space!r})"

    def fit(self, X: IntArray, y: FloatArray) -> Self:
        """Learns from accuracies y (n,), as fractions, of canonical rows X (n, d).

        Raises:
            ValueError: if the space is not layered, rows are not canonical, there are fewer than
                5, or accuracies are not finite, not fractions or all the same.
            TooManySamplesError: if rows of so large a space would not fit into memory.
        """
        self.features_ = PathFeatures(self.space)
        X, y = samples(X, y)
        self._check_size(len(X))
        F, z = self.features_(X), log_error.to_scale(y, self.n_images)
        self.regressor_ = Ridge().fit(F, z)
        self.left_out_ = left_out(self.regressor_, F, z)
        apart = log_error.from_scale(self.left_out_.mean, self.left_out_.std)
        self.widening_ = conformal.scale(apart, y)
        self.sum_ = PathSum(self.features_.graph, self.along(self.features_.graph))
        return self

    def _check_size(self, n: int) -> None:
        if n * self.features_.width > _MOST_NUMBERS:
            raise TooManySamplesError(
                f"An additive predictor learns from at most {_MOST_NUMBERS:,} numbers, but {n:,} "
                f"networks of {self.space.name} have {self.features_.width:,} steps each. Learn "
                "from fewer networks, narrow the space, or choose another predictor."
            )

    def refit(self, X: IntArray, y: FloatArray) -> Self:
        """Learns from other samples: tuning costs next to nothing, so this is `fit`."""
        return self.fit(X, y)

    def along(self, graph: LayeredGraph) -> PathValues:
        """The effects, on the scale of logarithmic errors.

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        edges, final = self.features_.values(self.regressor_.coef_)
        return PathValues(edges, final + self.regressor_.intercept_, log_error.to_accuracy)

    def predict(self, X: IntArray) -> Prediction:
        """Accuracies of canonical rows (n, d), as fractions.

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        X = as_rows(X)
        (std,) = by_chunks(self._std, X, self.features_.width)
        predicted = log_error.from_scale(self.sum_(X), std)
        return log_error.with_images(predicted.widened(self.widening_), self.n_images)

    def _std(self, X: IntArray) -> FloatArray:
        return self.regressor_.predict(self.features_(X))[1]

    def mean(self, X: IntArray) -> FloatArray:
        """The means alone, (n,).

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        return log_error.to_accuracy(self.sum_(as_rows(X)))


def additive(inputs: AccuracyInputs) -> AdditiveAccuracy:
    """The additive predictor of a layered space.

    Raises:
        ValueError: if the space is not layered, or there are more features.
    """
    if inputs.extra is not None:
        raise ValueError(
            "`additive` learns what each choice adds, but more features were given, such as "
            "zero-cost scores. Leave them out, or choose another model."
        )
    layered(inputs.space)  # else this is told after all networks were evaluated
    return AdditiveAccuracy(inputs.space, inputs.n_images)
