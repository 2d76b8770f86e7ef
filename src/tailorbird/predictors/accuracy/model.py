"""A model of accuracy: a view of architectures, and a regressor that learns from it."""

from collections.abc import Callable
from dataclasses import dataclass

from tailorbird.predictors.accuracy.features import View
from tailorbird.predictors.regressors import Process, Regressor


@dataclass(frozen=True, slots=True)
class Model:
    """A way to predict accuracy.

    Attributes:
        name: for tables.
        view: which features the regressor sees.
        make: an unfitted regressor.
    """

    name: str
    view: View
    make: Callable[[], Regressor]


DEFAULT = Model("process", "encoding", Process)
