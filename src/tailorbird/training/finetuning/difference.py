"""Differences between the scores of two networks on the same images."""

from dataclasses import dataclass

import numpy as np

from tailorbird.spaces import IntArray
from tailorbird.training.data.dataset import Split
from tailorbird.training.score import Score, accuracy
from tailorbird.training.shared.trained import Trained

_RESAMPLED = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher the first of two networks scores, with its standard error.

    Attributes:
        mean: of the split, a fraction.
        std: standard error over images drawn anew, the same ones for both networks.
    """

    mean: float
    std: float

    @property
    def is_sure(self) -> bool:
        """True if the first one is higher by two standard errors or more."""
        return self.mean > 0 and self.mean >= 2 * self.std


def difference(
    one: Trained, other: Trained, row: IntArray, split: Split, score: Score = accuracy
) -> Difference:
    """Difference of two networks of one architecture on a split.

    Of accuracies its error follows from the images that only one of them is right on; of a score of
    the user's own it is had by drawing images again, with replacement.
    """
    outputs, others = (trained.outputs(row, split) for trained in (one, other))
    labels = split.labels
    if score is accuracy:
        right, others_right = (y.argmax(axis=1) == labels for y in (outputs, others))
        each = right.astype(float) - others_right
        spread = float(each.std(ddof=1)) if len(each) > 1 else np.nan
        return Difference(float(each.mean()), spread / np.sqrt(len(each)))
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, len(labels), len(labels)) for _ in range(_RESAMPLED)]
    again = [score(outputs[i], labels[i]) - score(others[i], labels[i]) for i in drawn]
    mean = float(score(outputs.copy(), labels.copy()) - score(others.copy(), labels.copy()))
    return Difference(mean, float(np.std(again, ddof=1)))
