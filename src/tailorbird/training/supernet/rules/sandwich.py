"""Sandwich: the largest network, the smallest, and two between them."""

from collections.abc import Callable

import numpy as np

from tailorbird.spaces import IntArray
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training.supernet.rules.in_place import in_place
from tailorbird.training.supernet.rules.rule import Rule, RuleInputs, Step

N_BETWEEN = 2
"""Networks between the largest and the smallest."""


def sandwich(inputs: RuleInputs) -> Rule:
    """The largest network, two that are drawn, and the smallest; all learn from the largest.

    That learns from the labels, and so do all without distillation.

    References:
        Yu, Jin, Liu, Bender, Kindermans, Tan, et al.: BigNAS: Scaling Up Neural Architecture Search
        with Big Single-Stage Models. ECCV 2020.
    """
    rows = rows_between(inputs, lambda step: inputs.draw(step.rng))
    return Rule(N_BETWEEN + 2, rows, in_place(inputs))


def rows_between(
    inputs: RuleInputs, between: Callable[[Step], IntArray]
) -> Callable[[Step], IntArray]:
    """Rows of a step: the largest network, some between, and the smallest, (4, d).

    Args:
        inputs: of the rule.
        between: gives the row (d,) of one, and of another one when called again.
    """
    smallest, largest = smallest_and_largest(inputs.space)

    def rows(step: Step) -> IntArray:
        return np.stack([largest, *(between(step) for _ in range(N_BETWEEN)), smallest])

    return rows
