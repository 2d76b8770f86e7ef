"""Scores of untrained networks as features of a predictor."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tailorbird.predictors.accuracy.zero_cost.scoring import ZeroCost, check, scores
from tailorbird.progress import NoProgress, Progress
from tailorbird.spaces import FloatArray, IntArray, SearchSpace


@dataclass(frozen=True, slots=True, eq=False)
class ZeroCostFeatures:
    """Zero-cost scores by row; each row is scored once and then remembered.

    Attributes:
        space: of the architectures.
        images: one batch, (n_images, c, h, w), drawn at random from a training split.
        labels: class of each image, (n_images,).
        functions: of the k scores, by their names.
        seed: of the weights.
        progress: told of each network that is scored.
        device: of torch's, on which networks are scored.

    Raises:
        ValueError: if images or labels do not fit the space.
    """

    space: SearchSpace
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    functions: Mapping[str, ZeroCost]
    seed: int
    progress: Progress = field(default_factory=NoProgress)
    device: str = "cpu"
    _known: dict[bytes, FloatArray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        check(self.space, self.images, self.labels)

    def __call__(self, X: IntArray) -> FloatArray:
        """Scores of canonical rows (n, d), larger is better, (n, k).

        Raises:
            ScoreError: if a score is not finite.
        """
        keys = [row.tobytes() for row in np.ascontiguousarray(X, dtype=np.int64)]
        new = {key: i for i, key in enumerate(keys) if key not in self._known}
        if new:
            rows = X[list(new.values())]
            values = scores(
                self.space,
                rows,
                self.images,
                self.labels,
                self.functions,
                self.seed,
                self.progress,
                self.device,
            )
            self._known.update(zip(new, values, strict=True))
        return np.array([self._known[key] for key in keys]).reshape(len(X), len(self.functions))
