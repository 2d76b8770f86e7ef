"""Predictors of a user's own, behind the contract that searches rely on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tailorbird.errors import ContractError, PriceError, RecipeError
from tailorbird.pipeline.python_path import users_code
from tailorbird.predictors import Additive, Prediction
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.layered import LayeredGraph
from tailorbird.spaces.path_sum import PathValues


@dataclass(frozen=True, slots=True)
class OwnPredictor:
    """A user's predictor: what it raises is told with its key, and what it gives is checked.

    Attributes:
        predictor: the user's.
        named: where the recipe names it, such as `[accuracy] predictor = 'mine:Mine'`.
    """

    predictor: Any
    named: str

    def fit(self, X: IntArray, y: FloatArray) -> Self:
        """Learns values y (n,) of canonical rows X (n, d)."""
        with users_code(self.named):
            self.predictor.fit(X.copy(), y.copy())
        return self

    def refit(self, X: IntArray, y: FloatArray) -> Self:
        """Learns from other samples, but keeps how it learned."""
        with users_code(self.named):
            self.predictor.refit(X.copy(), y.copy())
        return self

    def predict(self, X: IntArray) -> Prediction:
        """Predictions for canonical rows (n, d)."""
        with users_code(self.named), _as_contract():
            predicted = self.predictor.predict(X.copy())
            if not isinstance(predicted, Prediction) or predicted.mean.shape != (len(X),):
                raise ContractError(
                    "`predict` must give a `tailorbird.predictors.Prediction` of shape "
                    f"({len(X)},) for as many rows, but gave {_told(predicted)}."
                )
            extrapolated = predicted.extrapolated
            if extrapolated is not None and np.shape(extrapolated) != (len(X),):
                raise ContractError(
                    f"`extrapolated` must be None or of shape ({len(X)},), but is of shape "
                    f"{np.shape(extrapolated)}."
                )
            if (predicted.std < 0).any():
                raise ContractError(
                    f"`predict` must give stds of at least 0, but gave {predicted.std.min():g}."
                )
            return predicted

    def mean(self, X: IntArray) -> FloatArray:
        """The means alone, (n,)."""
        with users_code(self.named):
            given = np.asarray(self.predictor.mean(X.copy()))
            means = given.astype(np.float64) if given.dtype.kind in "fiub" else np.empty(())
            if means.shape != (len(X),) or not np.isfinite(means).all():
                raise ContractError(
                    f"`mean` must give finite values of shape ({len(X)},) for as many rows, but "
                    f"gave {given.dtype} of shape {given.shape}, of which "
                    f"{np.sum(~np.isfinite(means))} are not finite."
                )
            return means


@dataclass(frozen=True, slots=True)
class OwnAdditive(OwnPredictor):
    """A user's predictor whose mean follows from a sum along a path."""

    def along(self, graph: LayeredGraph) -> PathValues:
        """What each step adds, and how the mean follows from the sum."""
        with users_code(self.named):
            values = self.predictor.along(graph)
            if not isinstance(values, PathValues):
                raise ContractError(f"`along` must give PathValues, but gave {_told(values)}.")
            shapes = [np.shape(added) for added in (*values.edges, values.final)]
            wanted = [(len(layer.source),) for layer in graph.layers]
            wanted.append((graph.final.shape[0],))
            if shapes != wanted:
                raise ContractError(
                    "`along` must give a value for each edge of the graph's layers and for each "
                    "final state, but gave other numbers of them."
                )
            return values


@contextmanager
def _as_contract() -> Iterator[None]:
    """Values that no prediction may hold break the contract of whoever gave them."""
    try:
        yield
    except PriceError as error:
        raise ContractError(str(error)) from error


def own_predictor(predictor: object, named: str, methods: tuple[str, ...]) -> OwnPredictor:
    """A user's predictor behind its contract.

    Args:
        predictor: the user's.
        named: where the recipe names it.
        methods: that it must have.

    Raises:
        RecipeError: if it lacks one.
    """
    with users_code(named):
        missing = [name for name in methods if not callable(getattr(predictor, name, None))]
        if missing:
            raise ContractError(
                f"A predictor must have the methods {', '.join(methods)}, but "
                f"{type(predictor).__name__} has no {missing[0]}."
            )
    kind = OwnAdditive if isinstance(predictor, Additive) else OwnPredictor
    return kind(predictor, named)


def refuse_other_means(means: FloatArray, predicted: FloatArray, key: str) -> None:
    """Refuses a predictor whose `mean` is not that of its `predict`, of the same rows.

    Raises:
        RecipeError: if so.
    """
    if not np.allclose(means, predicted, rtol=1e-6, atol=1e-9):
        off = int(np.argmax(np.abs(means - predicted)))
        raise RecipeError(
            f"`mean` and `predict` of what {key} names must agree, whenever they are called, but "
            f"one gave {means[off]:g} and the other {predicted[off]:g} for the same network."
        )


def _told(value: object) -> str:
    shape = getattr(getattr(value, "mean", None), "shape", None)
    return type(value).__name__ + (f" of shape {shape}" if isinstance(shape, tuple) else "")
