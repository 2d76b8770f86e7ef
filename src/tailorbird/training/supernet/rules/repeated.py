"""A rule of one network a step, several times a step."""

import numpy as np

from tailorbird.errors import ContractError
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.training.shared.route_sampling import check_routes_per_step
from tailorbird.training.supernet.rules.rule import Rule, Step, rows_of


def repeated(rule: Rule, space: SharedSpace, n_times: int) -> Rule:
    """A rule whose step trains as many networks, drawn one after the other by the step's generator.

    Raises:
        ContractError: if it trains several already, or there is no such number.
    """
    check_routes_per_step(n_times)
    if n_times == 1:
        return rule
    if rule.n_passes > 1:
        raise ContractError(
            f"routes_per_step = {n_times} is for rules that train one network a step, but this one "
            f"takes {rule.n_passes:g} passes a step by itself. Leave one of them out."
        )

    def rows(step: Step) -> IntArray:
        return np.concatenate([rows_of(space, rule, step) for _ in range(n_times)])

    return Rule(n_times, rows, rule.loss)
