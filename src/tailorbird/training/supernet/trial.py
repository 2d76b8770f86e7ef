"""Trial of a training rule on two images, before long training."""

import numpy as np
import torch
from torch import Tensor

from tailorbird.errors import ContractError, shown
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.supernet.rules import Pass, Rule, Step, rows_of
from tailorbird.training.trial import Batch

_STEPS = 3
_SAMPLED, _MOST_TRIED = 200, 6  # networks


def tried_rows(space: SharedSpace) -> IntArray:
    """Canonical rows (n, d) of the smallest and the largest network, and of a few others.

    Of sampled ones, each has as many pieces as possible that none before it has.
    """
    X = smallest_and_largest(space)
    sampled = space.sample(_SAMPLED, np.random.default_rng(0))
    seen = {piece.form for row in X for piece in space.route(row)}
    forms = [{piece.form for piece in space.route(row)} for row in sampled]
    while len(X) < _MOST_TRIED:
        n_new = [len(form - seen) for form in forms]
        best = int(np.argmax(n_new))
        if not n_new[best]:
            break
        X, seen = np.vstack([X, sampled[best]]), seen | forms[best]
    return X


def check_rule(space: SharedSpace, network: SharedNetwork, rule: Rule, batch: Batch) -> None:
    """Runs a few steps of a rule, and changes no weight.

    Args:
        space: of the networks.
        network: with fresh weights.
        rule: that is tried.
        batch: of a step.

    Raises:
        ContractError: if the rule does not do what it must.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for number in range(_STEPS):
            _check_step(space, network.train(), rule, batch, number)
    network.zero_grad()


def _check_step(
    space: SharedSpace, network: SharedNetwork, rule: Rule, batch: Batch, number: int
) -> None:
    twice = []
    for _ in range(2):
        rng = np.random.default_rng([0, number])
        step = Step(rng, batch.images, batch.labels, network, number, _STEPS)
        twice.append(rows_of(space, rule, step))
    if not np.array_equal(twice[0], twice[1]):
        raise ContractError(
            "A rule must give the same rows for the same step, or what is resumed ends up "
            "different, but it does not. Draw from `step.rng` only."
        )
    first = None
    for i, row in enumerate(twice[0]):
        logits = network(batch.images, space.route(row))
        first = logits.detach() if first is None else first
        one = Pass(i, logits, batch.labels, batch.images, first, step.fraction)
        loss: object = rule.loss(one)
        if not isinstance(loss, Tensor) or loss.ndim or not loss.requires_grad:
            raise ContractError(
                "A rule's loss must be one number that gradients can be had of, but for network "
                f"{i} of a step it is {_told(loss)}. Make it from `logits`."
            )
        if not loss.isfinite():
            raise ContractError(
                f"A rule's loss must be finite, but for network {i} of a step it is {loss:g}."
            )
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so


def _told(loss: object) -> str:
    if not isinstance(loss, Tensor):
        return shown(loss)
    return f"a tensor of shape {tuple(loss.shape)}" if loss.ndim else "one without a gradient"
