"""Differences between the scores of two networks on the same images."""

import math
from dataclasses import dataclass

import numpy as np

from tailorbird.errors import raising
from tailorbird.spaces import IntArray
from tailorbird.training.data.images import LabelledImages
from tailorbird.training.score import Score, accuracy, as_score
from tailorbird.training.shared.trained import Trained

_GROUPS = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher the first of two networks scores, with its standard error.

    Attributes:
        mean: of the split, a fraction.
        std: standard error over images drawn anew, the same ones for both networks; NaN if it is
            not known.
    """

    mean: float
    std: float

    @property
    def is_likely(self) -> bool:
        """True if the first one is higher, by a standard error or more if that is known."""
        return self.mean > 0 and not self.mean < self.std

    @property
    def is_sure(self) -> bool:
        """True if the first one is higher by two standard errors or more."""
        return self.mean > 0 and self.mean >= 2 * self.std


def difference(
    one: Trained, other: Trained, row: IntArray, split: LabelledImages, score: Score = accuracy
) -> Difference:
    """Difference of two networks of one architecture on a split.

    Of accuracies its error follows from the images that only one of them is right on, with one more
    of either kind, so that a single image is never a standard error; of a score of the user's own
    from the scores without each of twenty parts of the images, a jackknife. A score that is for
    whole splits alone, and fails without a part, leaves it unknown.

    References:
        Bonett, Price: Adjusted Wald Confidence Interval for a Difference of Binomial Proportions
        Based on Paired Data. Journal of Educational and Behavioral Statistics, 2012.
    """
    outputs, others = (trained.outputs(row, split) for trained in (one, other))
    labels = split.labels
    if score is accuracy:
        right, others_right = (y.argmax(axis=1) == labels for y in (outputs, others))
        won, lost = int((right & ~others_right).sum()), int((others_right & ~right).sum())
        return Difference((won - lost) / len(labels), paired_error(won, lost, len(labels)))

    def lead(kept: IntArray) -> float:
        both = (as_score(score(y[kept], labels[kept])) for y in (outputs, others))
        return next(both) - next(both)

    every, n = np.arange(len(labels)), min(_GROUPS, len(labels))
    mean = lead(every)
    if n == 1:
        return Difference(mean, np.nan)
    try:
        with raising(_FailedError):
            without = [lead(every[every % n != i]) for i in range(n)]
    except _FailedError:
        return Difference(mean, np.nan)
    return Difference(mean, float(np.std(without) * np.sqrt(n - 1)))


def paired_error(won: int, lost: int, n: int) -> float:
    """Standard error of (won - lost) / n, where n pairs differ one way or the other."""
    up, down = (won + 1) / (n + 2), (lost + 1) / (n + 2)
    return math.sqrt((up + down - (up - down) ** 2) / (n + 2))


class _FailedError(Exception):
    """Stands for whatever a score raises without a part of the images."""
