"""Accuracies of networks that others trained, as they published them."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import RecipeError, nearest
from tailorbird.predictors import (
    AdditiveAccuracy,
    FloatArray,
    KnownAccuracy,
    Predictor,
    accuracy_predictor,
)
from tailorbird.predictors.accuracy.single_model import FEWEST
from tailorbird.predictors.metrics import accuracy_std
from tailorbird.progress import Progress
from tailorbird.published.data_folder import data_folder
from tailorbird.published.rows import published_rows
from tailorbird.recipe import AccuracySection
from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.spaces.stitching import StitchSpace

if TYPE_CHECKING:
    from torch import nn

_IMAGES = {"ofa-mobilenetv3": 50_000, "in16": 3_000}  # behind a figure; 10,000 elsewhere
_LEARNED = 400  # networks that the predictor of the others learns from


@dataclass(frozen=True)
class PublishedAccuracy:
    """Of networks that others trained; there are no weights here.

    Attributes:
        space: that the recipe names.
        asked: `snnet` for stitched networks, or a column of the table of the space.
        seed: of the draw of networks that are learned from.
    """

    space: SearchSpace
    asked: AccuracySection
    seed: int

    fingerprint = "published"
    remarks = ()

    @property
    def description(self) -> str:
        """For reports."""
        of = "top-1 on the 50,000 validation images of ImageNet-1K"
        if self.asked.published != "snnet":
            of = f"column {self.asked.published!r} of the table for {self.space.name}"
        return (
            f"Accuracy as the authors of the networks published it, {of}; the search saw the same "
            "figures"
        )

    @cached_property
    def _table(self) -> tuple[IntArray, FloatArray, int]:
        """Rows, accuracies and the images behind each.

        Raises:
            RecipeError: if there are none, or too few to learn from.
        """
        X, y, n_images = self._published()
        self._refuse_too_few(y)
        if y.max() <= 0.01:
            raise RecipeError(
                f"Accuracies must be published in per cent, but none of {self.asked.published!r} "
                f"for {self.space.name} is above 1, as of fractions. Fetch the table anew."
            )
        return X, y, n_images

    def _published(self) -> tuple[IntArray, FloatArray, int]:
        column = self.asked.published
        assert column is not None  # else accuracies are trained
        if isinstance(self.space, StitchSpace):
            if column != "snnet":
                raise RecipeError(
                    f"Accuracies of {self.space.name} are published as 'snnet', not as {column!r}."
                )
            from tailorbird.published import snnet

            found = snnet.snnet(self.space, data_folder())
            return found.X, found.accuracy, found.n_images
        rows = published_rows(self.space, data_folder())
        family = self.space.name.partition("(")[0]
        if not rows.accuracies:
            way_out = "Delete it, and fetch it anew with `tailorbird data get`."
            if family == "nasbench201":  # whose are published as a pickle
                way_out = "Add them with `tailorbird data get nasbench201 --accuracies FILE.csv`."
            raise RecipeError(f"There are no accuracies in {rows.source!r}. {way_out}")
        if column not in rows.accuracies:
            raise RecipeError(
                f"There is no column of accuracies {column!r} in {rows.source!r}; "
                f"{nearest(column, rows.accuracies)}"
            )
        y = rows.column(column) / 100
        n_images = _IMAGES.get(family, _IMAGES.get(column.partition("_")[0], 10_000))
        return rows.X, y, n_images

    @property
    def n_validation(self) -> int:
        """Images behind each accuracy."""
        return self._table[2]

    @property
    def n_test(self) -> int:
        """The same images."""
        return self.n_validation

    def check(self) -> None:
        """Refuses a space for which nothing is published, or too little to learn from."""
        assert len(self._table[0])

    def _refuse_too_few(self, y: FloatArray) -> None:
        learned = y[self._drawn(len(y))]
        if len(learned) < FEWEST or np.ptp(learned) == 0:
            alike = f", all of {learned[0]:.2%}" if len(learned) >= FEWEST else ""
            raise RecipeError(
                f"Accuracies of other networks are predicted from at least {FEWEST} published ones "
                f"that differ, but {self.asked.published!r} has {len(learned)} for "
                f"{self.space.name}{alike}. Fetch the table anew, or choose another column."
            )

    def _drawn(self, n: int) -> IntArray:
        """Places of those among n published networks that the predictor of others learns from."""
        return np.random.default_rng(self.seed).permutation(n)[:_LEARNED]

    def predictor(self, latency: Predictor, progress: Progress) -> Predictor:
        """Published accuracies; a predictor learned from some of them for networks without one.

        An additive one is learned from all and stands alone, or it would not add up.
        """
        X, y, n_images = self._table
        if self.asked.predictor == "additive":
            return AdditiveAccuracy(self.space, n_images).fit(X, y)
        drawn = self._drawn(len(y))
        others = accuracy_predictor(
            self.asked.predictor, self.space, n_images, self.asked.predictor_seconds
        ).fit(X[drawn], y[drawn])
        return KnownAccuracy(X, y, accuracy_std(y, n_images), others)

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        """As published; NaN for networks that nobody evaluated."""
        rows, y, _ = self._table
        known = dict(zip(map(tuple, rows.tolist()), y, strict=True))
        return np.array([known.get(tuple(row), np.nan) for row in X.tolist()])

    def test(self, X: IntArray, progress: Progress) -> FloatArray:
        """The same figures."""
        return self.validation(X, progress)

    def network(self, row: IntArray) -> "nn.Module":
        """With fresh weights: latency does not depend on them."""
        return self.space.build(row)
