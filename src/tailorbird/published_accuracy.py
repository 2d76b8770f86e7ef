"""Accuracies of networks that others trained, as they published them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import nn

from tailorbird.data_folder import data_folder
from tailorbird.predictors import AccuracyProcess, FloatArray, KnownAccuracy, Predictor
from tailorbird.progress import Progress
from tailorbird.spaces import IntArray
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import accuracy_std, published


@dataclass(frozen=True)
class PublishedAccuracy:
    """Of networks that others trained; there are no weights here.

    Attributes:
        space: that the recipe names.
    """

    space: StitchSpace

    description = (
        "Accuracy as the authors of the networks published it, top-1 on the 50,000 validation "
        "images of ImageNet-1K; the search saw the same figures"
    )
    fingerprint = "published"

    @cached_property
    def _table(self) -> published.Published:
        return published.snnet(self.space, data_folder())

    @property
    def n_validation(self) -> int:
        """Images behind each accuracy."""
        return self._table.n_images

    @property
    def n_test(self) -> int:
        """The same images."""
        return self._table.n_images

    def check(self) -> None:
        """Refuses a space for which nothing is published."""
        assert len(self._table.X)

    def predictor(self, latency: Predictor, progress: Progress) -> Predictor:
        """Published accuracies; a Gaussian process for networks without one."""
        X, y = self._table.X, self._table.accuracy
        process = AccuracyProcess(self.space, self.n_validation).fit(X, y)
        return KnownAccuracy(X, y, accuracy_std(y, self.n_validation), process)

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        """As published; NaN for networks that nobody evaluated."""
        known = dict(zip(map(tuple, self._table.X.tolist()), self._table.accuracy, strict=True))
        return np.array([known.get(tuple(row), np.nan) for row in X.tolist()])

    def test(self, X: IntArray, progress: Progress) -> FloatArray:
        """The same figures."""
        return self.validation(X, progress)

    def network(self, row: IntArray) -> nn.Module:
        """With fresh weights: latency does not depend on them."""
        return self.space.build(row)
