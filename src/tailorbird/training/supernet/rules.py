"""Training rules of supernets: which networks a step trains, and by which losses."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from tailorbird.errors import ContractError, shown
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.spaces.module import said_of
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training.distillation import Loss
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.shared.route_sampling import Draw


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What a rule may look at to choose the networks of a step.

    Attributes:
        rng: draws the same whenever the step is done; nothing else may be left to chance.
        images: of the step, augmented, (n, …).
        labels: of them, (n,).
        network: that is trained, `network(images, space.route(row))` gives logits (n, classes).
    """

    rng: np.random.Generator
    images: Tensor
    labels: Tensor
    network: SharedNetwork


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """What one network of a step gave.

    Attributes:
        number: of the network in its step, from 0 on.
        logits: (n, classes).
        labels: (n,).
        images: (n, …).
        first: logits of the step's first network, without gradients.
    """

    number: int
    logits: Tensor
    labels: Tensor
    images: Tensor
    first: Tensor


@dataclass(frozen=True, slots=True)
class Rule:
    """How a supernet is trained.

    Attributes:
        n_passes: of one network over the images of a step, forth and back, that a step costs; an
            epoch has as many steps fewer.
        rows: gives the canonical rows (k, d) of the networks that a step trains.
        loss: of one of them. A step goes down the sum of the gradients.

    Raises:
        ContractError: if there are no such passes.
    """

    n_passes: int
    rows: Callable[[Step], IntArray]
    loss: Callable[[Pass], Tensor]

    def __post_init__(self) -> None:
        n: object = self.n_passes
        if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
            raise ContractError(
                "A rule's n_passes must be the passes of one network that a step costs, 1 or "
                f"more, but is {shown(n)}."
            )


@dataclass(frozen=True, slots=True)
class RuleInputs:
    """What rules are made from.

    Attributes:
        space: of the networks.
        draw: gives the row of a network, as `routes` says.
        loss: to the labels, and to a teacher's answers if there is one.
        distillation: `soft`, `hard` or `none`, for a rule whose networks learn from each other.
    """

    space: SharedSpace
    draw: Draw
    loss: Loss
    distillation: str


RuleMaker = Callable[[RuleInputs], Rule]


def rows_of(space: SharedSpace, rule: Rule, step: Step) -> IntArray:
    """Canonical rows (k, d) of the networks that a step trains.

    Raises:
        ContractError: if the rule gives none, others, or more than it says that a step costs.
    """
    rows = rule.rows(step)
    with said_of("A rule's rows must be one array of integers, but they are not"):
        X = np.asarray(rows)
    d = len(space.variables)
    if X.ndim != 2 or X.shape[1] != d or X.dtype.kind not in "iu" or not len(X) > 0:
        raise ContractError(
            f"A rule's rows must be rows of {d} choices each, integers, one row at least, but it "
            f"gave {X.dtype} of shape {X.shape}."
        )
    if len(X) > rule.n_passes:
        raise ContractError(
            f"A rule's n_passes must be at least the number of networks that a step trains, but is "
            f"{rule.n_passes} for {len(X)} of them. Count all passes, also those without gradients."
        )
    most = np.array([len(variable.choices) for variable in space.variables])
    within = ((X >= 0) & (most > X)).all(axis=1)
    if not within.all() or not np.array_equal(space.repair(X.astype(np.int64)), X):
        raise ContractError(
            "A rule's rows must be canonical encodings of the space, but it gave "
            f"{X[~within][:1].tolist() or X.tolist()}. Take them from `inputs.draw` or "
            "`space.sample`, or pass them through `space.repair`."
        )
    return X.astype(np.int64)


def single_path(inputs: RuleInputs) -> Rule:
    """One network a step.

    References:
        Guo, Zhang, Mu, Heng, Liu, Wei, Sun: Single Path One-Shot Neural Architecture Search with
        Uniform Sampling. ECCV 2020.
    """
    return Rule(
        n_passes=1,
        rows=lambda step: inputs.draw(step.rng)[None],
        loss=lambda one: inputs.loss(one.logits, one.labels, one.images),
    )


def sandwich(inputs: RuleInputs) -> Rule:
    """The largest network, two that are drawn, and the smallest; all learn from the largest.

    That learns from the labels, and so do all without distillation.

    References:
        Yu, Jin, Liu, Bender, Kindermans, Tan, et al.: BigNAS: Scaling Up Neural Architecture Search
        with Big Single-Stage Models. ECCV 2020.
    """
    smallest, largest = smallest_and_largest(inputs.space)
    in_place = _IN_PLACE.get(inputs.distillation)

    def loss(one: Pass) -> Tensor:
        if one.number == 0 or in_place is None:
            return inputs.loss(one.logits, one.labels, one.images)
        return F.cross_entropy(one.logits, in_place(one.first))

    return Rule(
        n_passes=4,
        rows=lambda step: np.stack(
            [largest, inputs.draw(step.rng), inputs.draw(step.rng), smallest]
        ),
        loss=loss,
    )


_IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "soft": lambda first: first.softmax(dim=1),
    "hard": lambda first: first.argmax(dim=1),
}
"""Targets made of the first network's logits."""
