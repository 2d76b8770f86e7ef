"""Inputs that every accuracy predictor is made from."""

from dataclasses import dataclass

from tailorbird.predictors.accuracy.features import Extra
from tailorbird.spaces import SearchSpace


@dataclass(frozen=True, slots=True)
class AccuracyInputs:
    """What an accuracy predictor may use, before it has learned anything.

    Attributes:
        space: of the architectures.
        n_images: that accuracies are measured on; None to leave their error out of stds.
        seconds: for hyperparameters.
        extra: more features, such as zero-cost scores; None if there are none.
    """

    space: SearchSpace
    n_images: int | None = None
    seconds: float = 0.0
    extra: Extra | None = None
