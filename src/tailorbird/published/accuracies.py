"""Accuracies that others published, joined to the networks of a space."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import RecipeError, nearest
from tailorbird.published import snnet
from tailorbird.published.rows import published_rows
from tailorbird.spaces import IntArray, SearchSpace

_IMAGES = {"ofa-mobilenetv3": 50_000, "in16": 3_000}  # behind a figure; 10,000 elsewhere
_WAYS_OUT = {  # whose are published as a pickle
    "nasbench201": "Add them with `tailorbird data get nasbench201 --accuracies FILE.csv`."
}
_ANEW = "Delete it, and fetch it anew with `tailorbird data get`."


@dataclass(frozen=True, slots=True, eq=False)
class PublishedAccuracies:
    """Networks of a space with their published accuracy.

    Attributes:
        X: canonical rows, (n, d).
        y: accuracies as fractions, (n,).
        n_images: behind each.
        is_imagenet: whether they are top-1 on the validation images of ImageNet-1K.
    """

    X: IntArray
    y: NDArray[np.float64]
    n_images: int
    is_imagenet: bool = False


def published_accuracies(space: SearchSpace, column: str, folder: Path) -> PublishedAccuracies:
    """Reads accuracies of a space from a column of its published table.

    Args:
        space: of the networks.
        column: of the table, or `snnet` for stitched networks.
        folder: of the tables.

    Raises:
        RecipeError: if there are none.
    """
    family = space.name.partition("(")[0]
    if column == snnet.NAME or family in snnet.FAMILIES:
        if column != snnet.NAME:
            raise RecipeError(
                f"Accuracies of {space.name} are published as {snnet.NAME!r}, not as {column!r}."
            )
        stitched = snnet.snnet(space, folder)
        return PublishedAccuracies(stitched.X, stitched.accuracy, stitched.n_images, True)
    rows = published_rows(space, folder)
    if not rows.accuracies:
        way_out = _WAYS_OUT.get(family, _ANEW)
        raise RecipeError(f"There are no accuracies in {rows.source!r}. {way_out}")
    if column not in rows.accuracies:
        raise RecipeError(
            f"There is no column of accuracies {column!r} in {rows.source!r}; "
            f"{nearest(column, rows.accuracies)}"
        )
    n_images = _IMAGES.get(family, _IMAGES.get(column.partition("_")[0], 10_000))
    return PublishedAccuracies(rows.X, rows.column(column) / 100, n_images)
