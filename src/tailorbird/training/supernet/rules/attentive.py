"""Attentive sampling: of networks of a size, that is trained which is best, or worst, by now."""

from collections.abc import Callable

import numpy as np

from tailorbird.spaces import FloatArray, IntArray
from tailorbird.training.shared.size_groups import size_groups
from tailorbird.training.supernet.rules.in_place import in_place
from tailorbird.training.supernet.rules.losses_now import losses_now
from tailorbird.training.supernet.rules.rule import Rule, RuleInputs, Step
from tailorbird.training.supernet.rules.sandwich import N_BETWEEN, rows_between

N_CANDIDATES = 3
"""Networks of a size that are compared, as many as in the paper."""

N_GROUPS = 20
"""Groups of networks that are taken to be of one size."""

_N_COUNTED = 200  # drawn networks, for the mean number of candidates


def best_up(inputs: RuleInputs) -> Rule:
    """A sandwich whose networks between are each the best of three of a size.

    As `attentive`: training dwells on networks that are on the front of accuracy and size, which
    are those that a search asks for.
    """
    return attentive(inputs, np.argmin)


def worst_up(inputs: RuleInputs) -> Rule:
    """A sandwich whose networks between are each the worst of three of a size.

    As `attentive`: training dwells on networks that lag behind.
    """
    return attentive(inputs, np.argmax)


def attentive(inputs: RuleInputs, chosen: Callable[[FloatArray], np.intp]) -> Rule:
    """A sandwich whose networks between are chosen by their losses on the images of the step.

    A drawn network says of which size they are: of one of twenty groups that part the range of log
    MACs evenly. Others of the group stand beside it as candidates. A step costs six passes, two of
    which are those of the candidates; groups of fewer than three networks make it less.

    Args:
        inputs: of the rule.
        chosen: gives the index of one of the losses (n,).

    References:
        Wang, Li, Gong, Chandra: AttentiveNAS: Improving Neural Architecture Search via Attentive
        Sampling. CVPR 2021.
    """
    groups = size_groups(inputs.space, inputs.seed, N_GROUPS)

    def candidates(step: Step) -> IntArray:
        first = inputs.draw(step.rng)
        others = groups.around(first)
        others = others[(others != first).any(axis=1)]
        n = min(N_CANDIDATES - 1, len(others))
        return np.vstack([first, others[step.rng.choice(len(others), n, replace=False)]])

    def between(step: Step) -> IntArray:
        X = candidates(step)
        best: IntArray = X[int(chosen(losses_now(inputs.space, step, X)))]
        return best

    rng = np.random.default_rng(inputs.seed)
    sizes = [len(groups.around(inputs.draw(rng))) for _ in range(_N_COUNTED)]
    n_candidates = float(np.minimum(sizes, N_CANDIDATES).mean())
    n_passes = N_BETWEEN + 2 + N_BETWEEN * n_candidates / 3
    return Rule(n_passes, rows_between(inputs, between), in_place(inputs))
