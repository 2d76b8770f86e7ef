"""Strict fairness: every choice is trained as often as any other of its variable."""

import numpy as np

from tailorbird.errors import ContractError
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.training.supernet.rules.rule import Rule, RuleInputs, Step

_N_TRIED = 256  # networks, all of which must have the choices that they are dealt


def strict_fairness(inputs: RuleInputs) -> Rule:
    """Several networks a step, to which every variable deals out each of its choices once.

    Every variable deals its choices like cards that are shuffled whenever they are used up, so
    those of k choices have each choice once in any k networks from a multiple of k on. Where all
    variables have as many, as in the paper, each step is fair; otherwise steps together are. All
    networks learn from the labels, and a step goes down the sum of their gradients.

    A choice that has no part in a network, such as one for a block that it leaves out, is dealt
    out like any other.

    Raises:
        ContractError: if the space has no network for some choices, so that others take their
            place.

    References:
        Chu, Zhang, Xu: FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural
        Architecture Search. ICCV 2021.
    """
    space, n_choices = inputs.space, [len(v.choices) for v in inputs.space.variables]
    n_networks = max(n_choices)
    _check_dealt(space, dealt(n_choices, range(_N_TRIED), inputs.seed))

    def rows(step: Step) -> IntArray:
        numbers = range(step.number * n_networks, (step.number + 1) * n_networks)
        return space.repair(dealt(n_choices, numbers, inputs.seed))

    return Rule(
        n_passes=n_networks,
        rows=rows,
        loss=lambda one: inputs.loss(one.logits, one.labels, one.images),
    )


def _check_dealt(space: SharedSpace, X: IntArray) -> None:
    repaired = space.repair(X)
    changed = np.flatnonzero(((repaired != X) & (repaired != 0)).any(axis=0))  # 0 is: of no part
    if len(changed):
        raise ContractError(
            "The rule strict-fairness is for spaces with a network for all choices together, but "
            f"{space.name} has other choices of {space.variables[changed[0]].name!r} in the place "
            "of some. Take another rule, such as single-path."
        )


def dealt(n_choices: list[int], numbers: range, seed: int) -> IntArray:
    """Rows of the networks of these numbers, not always canonical, (n, d).

    Args:
        n_choices: of each variable, (d,).
        numbers: of networks, from the first one of training on.
        seed: of the shuffling.
    """
    columns = []
    for j, k in enumerate(n_choices):
        rounds = range(numbers.start // k, (numbers.stop - 1) // k + 1)
        cards = [np.random.default_rng([seed, j, one]).permutation(k) for one in rounds]
        first = numbers.start - rounds.start * k
        columns.append(np.concatenate(cards)[first : first + len(numbers)])
    return np.stack(columns, axis=1)
