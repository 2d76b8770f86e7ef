"""Scores of the networks of a space."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import RecipeError, ScoreError, nearest
from tailorbird.progress import Progress
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

if TYPE_CHECKING:
    from torch import Tensor, nn

NAMES = ("gradsign", "gradient_norm", "synflow", "naswot", "macs", "parameters")


class ZeroCost(Protocol):
    """A score of an untrained network; the larger, the better it should be once trained."""

    def __call__(self, module: "nn.Module", images: "Tensor", labels: "Tensor") -> float:
        """Of a module, which is not changed, on images (n, c, h, w) with labels (n,)."""


def scores(
    space: SearchSpace,
    X: IntArray,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    names: Sequence[str],
    seed: int,
    progress: Progress,
) -> FloatArray:
    """Scores of networks with fresh weights, larger is better, (n, len(names)). Imports torch.

    A row's weights depend on the seed and the row alone: not on its place in X, and not on torch's
    random state, which is left as it was.

    Args:
        space: of the architectures.
        X: canonical rows (n, d).
        images: one batch, (n_images, c, h, w), as the networks take them. Where images lie sorted
            by label, draw them at random.
        labels: class of each image, (n_images,).
        names: of the scores, from NAMES.
        seed: of the weights.
        progress: told of each network.

    Raises:
        RecipeError: if a score is unknown.
        ValueError: if images or labels do not fit the networks.
        ScoreError: if a score is not finite.
    """
    import torch

    check(space, images, labels, names)
    functions = _functions()
    # Convolutions are faster with channels last in memory.
    batch = torch.tensor(images).contiguous(memory_format=torch.channels_last)
    classes = torch.tensor(labels)
    found = np.empty((len(X), len(names)))
    with progress.task("score", len(X)) as advance, torch.random.fork_rng(devices=[]):
        for i, row in enumerate(X):
            torch.manual_seed(_seed(seed, row))
            network = space.build(row)
            for k, name in enumerate(names):
                found[i, k] = functions[name](network, batch, classes)
                if not np.isfinite(found[i, k]):
                    raise ScoreError(name, float(found[i, k]), space.describe(row))
            advance(space.describe(row))
    return found


def check(
    space: SearchSpace,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    names: Sequence[str],
) -> None:
    """Refuses what no network of the space could be scored on.

    Raises:
        RecipeError: if a score is unknown.
        ValueError: if images or labels do not fit the networks.
    """
    for name in names:
        if name not in NAMES:
            raise RecipeError(f"There is no zero-cost score {name!r}; {nearest(name, NAMES)}")
    shape = space.input_shape[1:]
    if images.shape[1:] != shape or labels.shape != images.shape[:1] or not len(labels):
        raise ValueError(
            f"Images of shape (n, {', '.join(map(str, shape))}) and labels (n,) with n >= 1 are "
            f"needed for {space.name}, but got {images.shape=}, {labels.shape=}."
        )
    types = (str(images.dtype), str(labels.dtype))
    if types != ("float32", "int64"):
        raise ValueError(
            f"Images must be float32 and labels int64, but got {types[0]} and {types[1]}."
        )


def _functions() -> Mapping[str, ZeroCost]:
    from tailorbird.predictors.accuracy.zero_cost.gradients import gradient_norm, gradsign
    from tailorbird.predictors.accuracy.zero_cost.naswot import naswot
    from tailorbird.predictors.accuracy.zero_cost.size import macs, parameters
    from tailorbird.predictors.accuracy.zero_cost.synflow import synflow

    return {
        "gradsign": gradsign,
        "gradient_norm": gradient_norm,
        "synflow": synflow,
        "naswot": naswot,
        "macs": macs,
        "parameters": parameters,
    }


def _seed(seed: int, row: IntArray) -> int:
    return int(np.random.SeedSequence([seed, *row.tolist()]).generate_state(1)[0])
