"""Predictions with their uncertainty, and the protocols of what gives them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from tailorbird.errors import PriceError
from tailorbird.notebook import axes, between, counted, html_table, legend
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.layered import LayeredGraph
from tailorbird.spaces.path_sum import PathValues

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A value and how sure it is, for each of n architectures, both in one unit.

    Attributes:
        mean: shape (n,).
        std: shape (n,), one standard deviation.
        extrapolated: which lie so far beyond what was learned from that the mean is little more
            than a guess, (n,); None where a predictor does not tell.
    """

    mean: FloatArray
    std: FloatArray
    extrapolated: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.mean.shape != self.std.shape:
            raise ValueError(f"Shapes must agree, but got {self.mean.shape=}, {self.std.shape=}.")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.std).all()):
            raise PriceError("A prediction must be finite, but some of its values are not.")

    def __repr__(self) -> str:
        parts = [counted(len(self.mean), "value"), between(self.mean), f"std {between(self.std)}"]
        if self.extrapolated is not None:
            parts.append(f"{np.count_nonzero(self.extrapolated):,} extrapolated")
        return f"Prediction({', '.join(parts)})"

    def _repr_html_(self) -> str:
        return html_table(self.to_pandas(), repr(self))

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each architecture: mean, std, and if predictors tell, whether extrapolated."""
        import pandas as pd

        columns: dict[str, NDArray[Any]] = {"mean": self.mean, "std": self.std}
        if self.extrapolated is not None:
            columns["extrapolated"] = self.extrapolated
        return pd.DataFrame(columns)

    def plot(self, ax: "Axes | None" = None, *, level: float = 0.9) -> "Axes":
        """Draws the means, the smallest first, with their intervals.

        Args:
            ax: axes to draw on; new ones if None.
            level: fraction of the truth that an interval is to hold.
        """
        ax = axes(ax)
        order = np.argsort(self.mean, kind="stable")
        reach = self.interval(level)[1] - self.mean
        beyond = np.zeros(len(order), bool) if self.extrapolated is None else self.extrapolated
        for is_beyond, label in ((False, f"{level:.0%} interval"), (True, "extrapolated")):
            at = np.flatnonzero(beyond[order] == is_beyond)
            of = order[at]
            if len(of):
                ax.errorbar(at, self.mean[of], reach[of], fmt=".", elinewidth=0.8, label=label)
        ax.set(xlabel="networks, by what is predicted", ylabel="predicted")
        legend(ax)
        return ax

    def widened(self, factor: float) -> "Prediction":
        """The same means with stds times a factor."""
        return replace(self, std=factor * self.std)

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Both ends, each (n,), of the central normal interval that holds this fraction."""
        reach = norm.ppf((1 + level) / 2) * self.std
        return self.mean - reach, self.mean + reach


class Predictor(Protocol):
    """Encodings to predictions."""

    def predict(self, X: IntArray) -> Prediction:
        """Predictions for canonical rows of shape (n, d)."""

    def mean(self, X: IntArray) -> FloatArray:
        """The means alone, (n,); what a search needs of every generation."""


@runtime_checkable
class Learner(Predictor, Protocol):
    """A predictor that learns from samples."""

    def fit(self, X: IntArray, y: FloatArray) -> Predictor:
        """Learns values y (n,) of canonical rows X (n, d), and forgets what it knew."""

    def refit(self, X: IntArray, y: FloatArray) -> Predictor:
        """Learns from other samples, but keeps its hyperparameters and choice of models."""


@runtime_checkable
class Additive(Predictor, Protocol):
    """A predictor whose mean says, and rises with, a sum along a path."""

    def along(self, graph: LayeredGraph) -> PathValues:
        """What each step adds, and how the mean follows from the sum.

        Args:
            graph: of its space.
        """
