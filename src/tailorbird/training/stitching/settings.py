"""Settings of training: what decides the weights of a space, besides its data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tailorbird.spaces.shared import KINDS
from tailorbird.training.compute import CPU, Compute
from tailorbird.training.optimization import Optimization
from tailorbird.training.weights.state_dict import digest

RULES = "stitch-2"
"""Version of training in the identity of weights: raise it when training makes others."""


def _same_everywhere() -> Mapping[str, float]:
    return dict.fromkeys(KINDS, 2e-2)


@dataclass(frozen=True, slots=True)
class Training:
    """Settings by which anchors become a stitched network.

    Attributes:
        train_epochs: for each anchor alone.
        stitch_epochs: for all routes together.
        seed: of weights, images and routes.
        batch: batch size.
        learning_rates: peak for each kind of part; 0 leaves it as it is.
        shared_learning_rates: those with which all routes learn together; `learning_rates` if None.
        optimization: how a step changes weights.
        compute: device, precision and processes.
        routes: how the route of a step is drawn.
        routes_per_step: routes that a step goes along, each with all of its images; it goes down
            the sum of their gradients, and there are as many times fewer steps.
        share_of_anchors: share of the routes that are anchors, below 1; as the draw has it if None.
        stitch_loss: what stitching layers learn first: nothing but the `task`, with all other
            parts, or alone the `features` of the anchor that they enter.
        anchors_from: what anchors learn from that no file is for: `labels`, the `largest` anchor
            block by block, or as modules of the smallest, `meta`.
        distillation: what is learned from the teacher's answers besides the labels.
        teacher: names it; the largest anchor as it was alone, unless given.
        stitch_images: images for least squares; 0 leaves stitching layers random.
        stitch_rank: rank of the update that stitching layers learn; no such update if None, but
            all of their weights learn.
        anchors: files of weights that anchors start with, by anchor.
        keys: where in these files the weights lie, by anchor; found out where not given.
    """

    train_epochs: int
    stitch_epochs: int
    seed: int
    batch: int = 50
    learning_rates: Mapping[str, float] = field(default_factory=_same_everywhere)
    shared_learning_rates: Mapping[str, float] | None = None
    optimization: Optimization = field(default_factory=Optimization)
    compute: Compute = CPU
    routes: str = "stitches"
    routes_per_step: int = 1
    share_of_anchors: float | None = None
    stitch_loss: str = "task"
    anchors_from: str = "labels"
    distillation: str = "soft"
    teacher: str | None = None
    stitch_images: int = 500
    stitch_rank: int | None = None
    anchors: Mapping[str, Path] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def shared(self) -> Mapping[str, float]:
        """Peak learning rates of all routes together."""
        return (
            self.learning_rates
            if self.shared_learning_rates is None
            else self.shared_learning_rates
        )

    def alone(self, anchor: str) -> dict[str, object]:
        """Returns what decides an anchor's weights; how it is going to be stitched does not.

        Raises:
            WeightsError: if the file of its weights cannot be read.
        """
        learning_rates = {k: v for k, v in self.learning_rates.items() if k != "stitch"}
        return {
            "anchor": anchor,
            "epochs": self.train_epochs,
            "seed": self.seed,
            "batch": self.batch,
            "learning_rates": learning_rates,
            "weights": digest(self.anchors[anchor], self.keys.get(anchor))
            if anchor in self.anchors
            else None,
            **self.optimization.decides,
            **self.compute.decides,
        }

    def together(self) -> dict[str, object]:
        """Returns what decides the stitched network's weights, besides its anchors."""
        alone = {k: rate for k, rate in self.learning_rates.items() if k != "stitch"}
        rates = dict(self.shared)
        stitch = rates.pop("stitch", None)
        later = {  # than the first weights, which are found by what they were made with
            "shared_learning_rates": rates if rates != alone else None,
            "routes_per_step": self.routes_per_step if self.routes_per_step > 1 else None,
            "share_of_anchors": self.share_of_anchors,
            "stitch_loss": self.stitch_loss if self.stitch_loss != "task" else None,
            "anchors_from": self.anchors_from if self.anchors_from != "labels" else None,
        }
        return {
            "epochs": self.stitch_epochs,
            "stitch_learning_rate": stitch,
            "routes": self.routes,
            "distillation": self.distillation,
            "teacher": self.teacher,
            "stitch_images": self.stitch_images,
            "stitch_rank": self.stitch_rank,
            **{key: value for key, value in later.items() if value is not None},
        }
