"""Probability shift: sizes of networks are trained the more often, the more they lack."""

import numpy as np

from tailorbird.spaces import FloatArray, IntArray
from tailorbird.training.shared.size_groups import size_groups
from tailorbird.training.supernet.rules.losses_now import losses_now
from tailorbird.training.supernet.rules.rule import Rule, RuleInputs, Step

N_GROUPS = 6
"""Groups of sizes that are told apart."""

N_TRAINED = 2
"""Networks of a step."""


def probability_shift(inputs: RuleInputs) -> Rule:
    """Two networks a step, of sizes that are the more probable, the higher their losses are now.

    One network of each of six groups, which part the range of log MACs evenly, is drawn and its
    loss on the images of the step had; two of the six are trained, from the labels. A step costs
    four passes, two of which look at the six, and fewer where groups are empty.

    The paper keeps probabilities, moves them by how the losses of a size change, and learns a
    generator of networks of a wanted size. Here probabilities follow from the network of the step
    alone, so that training can be interrupted, and networks of a size are drawn from a list.

    References:
        Zhang, Yu, Zhao, Ou: ShiftNAS: Improving One-shot NAS via Probability Shift. ICCV 2023.
    """
    groups = size_groups(inputs.space, inputs.seed, N_GROUPS).rows

    def rows(step: Step) -> IntArray:
        X = np.stack([group[step.rng.integers(len(group))] for group in groups])
        p = probabilities(losses_now(inputs.space, step, X))
        return X[step.rng.choice(len(X), min(N_TRAINED, len(X)), replace=False, p=p)]

    return Rule(
        n_passes=min(N_TRAINED, len(groups)) + len(groups) / 3,
        rows=rows,
        loss=lambda one: inputs.loss(one.logits, one.labels, one.images),
    )


def probabilities(losses: FloatArray) -> FloatArray:
    """Probabilities of groups with these losses (n,), not below 0: half even, half in proportion.

    So no size starves, however well it does.
    """
    even = np.full(len(losses), 1 / len(losses))
    total = losses.sum()
    return (even + losses / total) / 2 if 0 < total < np.inf else even
