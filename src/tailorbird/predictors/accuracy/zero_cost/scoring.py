"""Zero-cost scores of the networks of a space."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import ScoreError, nearest, require
from tailorbird.progress import Progress
from tailorbird.registry.python_paths import load
from tailorbird.registry.zero_cost_scores import ZERO_COST_SCORES
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

if TYPE_CHECKING:
    from torch import Tensor, nn


class ZeroCost(Protocol):
    """A score of an untrained network; the larger, the better it should be once trained."""

    def __call__(self, module: "nn.Module", images: "Tensor", labels: "Tensor") -> float:
        """Score of a module, which is not changed, on images (n, c, h, w) with labels (n,)."""


def scores(
    space: SearchSpace,
    X: IntArray,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    functions: Mapping[str, ZeroCost],
    seed: int,
    progress: Progress,
    device: str = "cpu",
) -> FloatArray:
    """Scores of networks with fresh weights, larger is better, (n, len(functions)). Imports torch.

    A row's weights depend on the seed and the row alone: not on its place in X, and not on torch's
    random state, which is left as it was.

    Args:
        space: of the architectures.
        X: canonical rows (n, d).
        images: one batch, (n_images, c, h, w), as the networks take them. Where images lie sorted
            by label, draw them at random.
        labels: class of each image, (n_images,).
        functions: that score, by their names.
        seed: of the weights.
        progress: told of each network.
        device: of torch's, on which networks are scored.

    Raises:
        ValueError: if images or labels do not fit the networks.
        ScoreError: if a score is not finite.
    """
    require("torch")
    import torch

    check(space, images, labels)
    # Convolutions are faster with channels last in memory.
    batch = torch.tensor(images).contiguous(memory_format=torch.channels_last).to(device)
    classes = torch.tensor(labels, device=device)
    values = np.empty((len(X), len(functions)))
    with progress.task("score", len(X)) as advance, torch.random.fork_rng(devices=[]):
        for i, row in enumerate(X):
            torch.manual_seed(_seed(seed, row))
            network = space.build(row).to(device)
            for k, (name, score) in enumerate(functions.items()):
                values[i, k] = score(network, batch, classes)
                if not np.isfinite(values[i, k]):
                    raise ScoreError(name, float(values[i, k]), space.describe(row))
            advance(space.describe(row))
    return values


def check(
    space: SearchSpace,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> None:
    """Refuses what no network of the space could be scored on.

    Raises:
        ValueError: if images or labels do not fit the networks.
    """
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


def zero_cost_scores(names: Sequence[str]) -> dict[str, ZeroCost]:
    """Functions of ZERO_COST_SCORES by their names.

    Raises:
        ValueError: if a score is unknown.
    """
    for name in names:
        if name not in ZERO_COST_SCORES:
            hint = nearest(name, ZERO_COST_SCORES)
            raise ValueError(f"There is no zero-cost score {name!r}; {hint}")
    return {name: load(ZERO_COST_SCORES[name]) for name in names}


def _seed(seed: int, row: IntArray) -> int:
    return int(np.random.SeedSequence([seed, *row.tolist()]).generate_state(1)[0])
