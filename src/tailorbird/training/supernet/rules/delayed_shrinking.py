"""Delayed shrinking: the largest network alone at first, and all others from its weights on."""

from collections.abc import Callable

from torch import Tensor

from tailorbird.spaces import IntArray
from tailorbird.training.supernet.rules.in_place import in_place
from tailorbird.training.supernet.rules.rule import Pass, Rule, RuleInputs, Step
from tailorbird.training.supernet.rules.sandwich import N_BETWEEN, rows_between

DELAY = 0.5
"""Fraction of all steps that train the largest network alone, as in the paper."""

RISE = 0.25
"""Fraction of all steps over which the weight of the others' losses rises to 1."""


def delayed_shrinking(inputs: RuleInputs) -> Rule:
    """The largest network alone for half of all steps, then sandwiches.

    The losses of the others begin with little weight, which rises evenly over a quarter of all
    steps, so that the largest network is not thrown off what it has learned. The paper raises
    their learning rates; here gradients of all networks of a step are summed up for an optimizer
    that they share, so it is their parts of the sum that rise. A step costs one pass at first and
    four later, 2.5 in the mean.

    References:
        Annavajjala, Khare, Agrawal, Fedorov, Latapie, Lee, Tumanov: DepS: Delayed epsilon-Shrinking
        for Faster Once-For-All Training. ECCV 2024.
    """
    n_networks = N_BETWEEN + 2
    sandwich_rows = rows_between(inputs, lambda step: inputs.draw(step.rng))

    def rows(step: Step) -> IntArray:
        X = sandwich_rows(step)
        return X[:1] if step.fraction < DELAY else X

    n_passes = DELAY + (1 - DELAY) * n_networks
    return Rule(n_passes, rows, _rising(in_place(inputs)), n_networks)


def _rising(loss: Callable[[Pass], Tensor]) -> Callable[[Pass], Tensor]:
    """The loss of the first network as it is, those of all others with `weight_at`."""

    def risen(one: Pass) -> Tensor:
        value = loss(one)
        return value if one.number == 0 else value * weight_at(one.fraction)

    return risen


LEAST = 0.01
"""Weight with which shrinking begins."""


def weight_at(fraction: float) -> float:
    """Weight of the losses of all networks but the largest, at a fraction of training."""
    risen = min(max((fraction - DELAY) / RISE, 0.0), 1.0)
    return LEAST + (1 - LEAST) * risen
