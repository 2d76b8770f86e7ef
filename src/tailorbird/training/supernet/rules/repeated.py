"""A rule of one network a step, several times a step."""

import numpy as np

from tailorbird.errors import ContractError
from tailorbird.spaces import IntArray
from tailorbird.training.supernet.rules.rule import Rule, Step


def repeated(rule: Rule, n_times: int) -> Rule:
    """A rule that draws as many networks a step as are asked for, from the same generator.

    Raises:
        ContractError: if it draws several already.
    """
    if n_times == 1:
        return rule
    if rule.n_passes > 1:
        raise ContractError(
            f"routes_per_step = {n_times} is for rules that train one network a step, but this one "
            f"takes {rule.n_passes:g} passes a step by itself. Leave one of them out."
        )

    def rows(step: Step) -> IntArray:
        return np.concatenate([rule.rows(step) for _ in range(n_times)])

    return Rule(n_times, rows, rule.loss)
