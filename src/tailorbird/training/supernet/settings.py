"""Settings of training a supernet: what decides its weights, besides space and data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tailorbird.spaces.shared import KINDS
from tailorbird.training.compute import CPU, Compute
from tailorbird.training.optimization import Optimization
from tailorbird.training.weights.state_dict import digest

VERSION = "supernet-1"
"""Version of training in the identity of weights: raise it when training makes others."""

RULE, ROUTES = "single-path", "log-macs"
"""What is done unless something else is asked for; `benchmarks/supernet_rules.py` has chosen it."""

IMPORTANCE = "l1"
"""How units of given weights are sorted unless something else is asked for."""


def _same_everywhere() -> Mapping[str, float]:
    return dict.fromkeys(KINDS, 2e-2)


@dataclass(frozen=True, slots=True)
class SupernetTraining:
    """Settings by which a space becomes a trained supernet.

    Attributes:
        epochs: passes of one network over the training images, whatever the rule: one that trains
            four networks a step has a quarter of the steps.
        seed: of weights, images and networks.
        batch: batch size.
        learning_rates: peak for each kind of piece; 0 leaves it as it is, and so does none.
        optimization: how a step changes weights.
        compute: device, precision and processes.
        rule: which networks a step trains, and by which losses.
        routes: how networks are drawn: `log-macs`, `resources` or `uniform`.
        routes_per_step: networks that a step draws, by a rule that would draw one; it goes down the
            sum of their gradients, and there are as many times fewer steps.
        distillation: what is learned from answers of others, `soft`, `hard` or `none`: of the
            first network of a step, if the rule says so, and of a teacher, if there is one.
        teacher: names it; none if None.
        largest: file of weights that the largest network starts with; none if None.
        key: where in it the weights lie; found out if None.
        importance: by which channels and other units of these weights are sorted.
        program: text or digest of a rule of one's own, so that another one trains anew.
    """

    epochs: int
    seed: int
    batch: int = 50
    learning_rates: Mapping[str, float] = field(default_factory=_same_everywhere)
    optimization: Optimization = field(default_factory=Optimization)
    compute: Compute = CPU
    rule: str = RULE
    routes: str = ROUTES
    routes_per_step: int = 1
    distillation: str = "soft"
    teacher: str | None = None
    largest: Path | None = None
    key: str | None = None
    importance: str = IMPORTANCE
    program: str = ""

    def start(self) -> dict[str, object]:
        """What decides the weights that training starts with; nothing if they are fresh.

        Raises:
            WeightsError: if the file of the largest network's cannot be read.
        """
        if self.largest is None:
            return {}
        return {"largest": digest(self.largest, self.key), "importance": self.importance}
