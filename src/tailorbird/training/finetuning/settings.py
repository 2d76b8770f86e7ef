"""Settings of training one network alone: what decides its weights, besides space and data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tailorbird.training.compute import CPU, Compute
from tailorbird.training.optimization import Optimization

VERSION = "finetune-2"
"""Version of training in the identity of weights: raise it when training makes others."""


@dataclass(frozen=True, slots=True)
class Finetuning:
    """Settings by which one network is trained alone.

    Attributes:
        epochs: passes over the training images.
        seed: of images, and of weights that are drawn anew.
        learning_rates: peak for each kind of piece; 0 leaves it as it is, and so does none.
        batch: batch size.
        optimization: how a step changes weights.
        compute: device, precision and processes.
        distillation: what is learned from a teacher's answers: `soft`, `hard` or `none`.
        teacher: names a teacher in the place of the largest network.
        measure: names the score that weights are chosen by.
    """

    epochs: int
    seed: int
    learning_rates: Mapping[str, float]
    batch: int = 50
    distillation: str = "soft"
    teacher: str | None = None
    measure: str = "accuracy"
    optimization: Optimization = field(default_factory=Optimization)
    compute: Compute = CPU
