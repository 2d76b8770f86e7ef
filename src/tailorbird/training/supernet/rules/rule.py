"""What a training rule of supernets is: the networks of a step, and the losses of each."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from torch import Tensor

from tailorbird.errors import ContractError, shown
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.spaces.module import said_of
from tailorbird.training.distillation import Loss
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.shared.route_sampling import Draw


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What a rule may look at to choose the networks of a step.

    Attributes:
        rng: draws the same whenever the step is done; nothing else may be left to chance.
        images: of the step, augmented, (n, …).
        labels: of them, (n,); of mixed images, probabilities of classes, (n, classes).
        network: that is trained, `network(images, space.route(row))` gives logits (n, classes).
        number: of the step, from 0 on.
        n_steps: number of all steps.
    """

    rng: np.random.Generator
    images: Tensor
    labels: Tensor
    network: SharedNetwork
    number: int
    n_steps: int

    @property
    def fraction(self) -> float:
        """Fraction of training that is over, 0 in the first step and below 1 in the last."""
        return self.number / self.n_steps


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """What one network of a step gave.

    Attributes:
        number: of the network in its step, from 0 on.
        logits: (n, classes).
        labels: (n,); of mixed images, probabilities of classes, (n, classes).
        images: (n, …).
        first: logits of the step's first network, without gradients.
        fraction: of training that is over, as `Step.fraction`.
    """

    number: int
    logits: Tensor
    labels: Tensor
    images: Tensor
    first: Tensor
    fraction: float


@dataclass(frozen=True, slots=True)
class Rule:
    """How a supernet is trained.

    Rows and losses follow from the step and the network alone, never from what was asked before:
    training that was interrupted goes on in another process.

    Attributes:
        n_passes: of one network over the images of a step, forth and back, that a step costs, a
            mean where steps differ; an epoch has as many steps fewer. A pass that is not gone back
            counts as a third, since the way back is twice as long.
        rows: gives the canonical rows (k, d) of the networks that a step trains.
        loss: of one of them. A step goes down the sum of the gradients.
        n_networks: most of them that a step trains, where steps differ; if None, there are never
            more than `n_passes`.

    Raises:
        ContractError: if there are no such passes, or no such number of networks.
    """

    n_passes: float
    rows: Callable[[Step], IntArray]
    loss: Callable[[Pass], Tensor]
    n_networks: int | None = None

    def __post_init__(self) -> None:
        n: object = self.n_passes
        if not isinstance(n, Real) or isinstance(n, bool) or not 1 <= float(n) < float("inf"):
            raise ContractError(
                "A rule's n_passes must be the passes of one network that a step costs, 1 or "
                f"more, but is {shown(n)}."
            )
        most: object = self.n_networks
        if most is not None and (
            not isinstance(most, Integral) or isinstance(most, bool) or not most >= n
        ):
            raise ContractError(
                "A rule's n_networks must be the most networks that a step trains, a whole number "
                f"of at least the mean, n_passes, but is {shown(most)} beside {shown(n)}."
            )

    @property
    def most(self) -> int:
        """Most networks that a step trains."""
        return int(self.n_passes if self.n_networks is None else self.n_networks)


@dataclass(frozen=True, slots=True)
class RuleInputs:
    """What rules are made from.

    Attributes:
        space: of the networks.
        draw: gives the row of a network, as `routes` says.
        loss: to the labels, and to a teacher's answers if there is one.
        distillation: `soft`, `hard` or `none`, for a rule whose networks learn from each other.
        seed: of the settings, for what is drawn for several steps at once.
    """

    space: SharedSpace
    draw: Draw
    loss: Loss
    distillation: str
    seed: int = 0


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
    named = "n_passes" if rule.n_networks is None else "n_networks"
    most = rule.n_passes if rule.n_networks is None else rule.n_networks
    if len(X) > rule.most:
        raise ContractError(
            f"A rule's {named} must be at least the number of networks that a step trains, but is "
            f"{most:g} for {len(X)} of them. Count all passes, three without gradients as one."
        )
    n_choices = np.array([len(variable.choices) for variable in space.variables])
    within = ((X >= 0) & (n_choices > X)).all(axis=1)
    if not within.all() or not np.array_equal(space.repair(X.astype(np.int64)), X):
        raise ContractError(
            "A rule's rows must be canonical encodings of the space, but it gave "
            f"{X[~within][:1].tolist() or X.tolist()}. Take them from `inputs.draw` or "
            "`space.sample`, or pass them through `space.repair`."
        )
    return X.astype(np.int64)
