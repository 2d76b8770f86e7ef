"""Attentive sampling: of which networks one is chosen, and which."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from shared_spaces import space_of
from supernet_steps import inputs, step_of

from tailorbird.spaces import FloatArray, IntArray, SharedSpace
from tailorbird.spaces.footprint import count_macs
from tailorbird.training.shared.network import fresh
from tailorbird.training.supernet.rules.attentive import (
    N_CANDIDATES,
    N_GROUPS,
    attentive,
    best_up,
    worst_up,
)

N_TRIED = 4  # steps


@pytest.fixture(scope="module")
def space() -> SharedSpace:
    return space_of("own-net")


def the(number: int) -> Callable[[FloatArray], np.intp]:
    """Chooses the candidate of that number, or the last one."""
    return lambda losses: np.intp(min(number, len(losses) - 1))


def candidates(space: SharedSpace, number: int) -> IntArray:
    """Those for the first network between the largest and the smallest, in one step, (n, d)."""
    rules = [attentive(inputs(space), the(k)) for k in range(N_CANDIDATES)]
    rows = [tuple(rule.rows(step_of(space, number))[1].tolist()) for rule in rules]
    return np.array([*dict.fromkeys(rows)])


def test_the_best_of_networks_of_a_size_is_trained_or_the_worst(space: SharedSpace) -> None:
    best, worst = best_up(inputs(space)), worst_up(inputs(space))
    n_compared = 0
    for number in range(N_TRIED):
        X, step = candidates(space, number), step_of(space, number)
        network = fresh(space, 0).train()
        with torch.no_grad():
            losses = [
                F.cross_entropy(network(step.images, space.route(row)), step.labels).item()
                for row in X
            ]
        n_compared += len(X)
        np.testing.assert_array_equal(best.rows(step)[1], X[np.argmin(losses)])
        np.testing.assert_array_equal(worst.rows(step_of(space, number))[1], X[np.argmax(losses)])
    assert n_compared > 2 * N_TRIED


def test_candidates_are_of_the_size_of_a_drawn_network(space: SharedSpace) -> None:
    macs = count_macs(space, np.concatenate(list(space.enumerate())))
    widest = (macs.max() / macs.min()) ** (1 / N_GROUPS)
    for number in range(N_TRIED):
        step = step_of(space, number)
        X = candidates(space, number)
        drawn = inputs(space).draw(step.rng)
        assert (X[0] == drawn).all()
        of_candidates = count_macs(space, X)
        assert of_candidates.max() / of_candidates.min() <= widest * (1 + 1e-9)


def test_the_largest_and_the_smallest_network_stay(space: SharedSpace) -> None:
    macs = count_macs(space, np.concatenate(list(space.enumerate())))
    rule = best_up(inputs(space))
    rows = rule.rows(step_of(space))
    found = count_macs(space, rows)
    assert (found[0], found[-1], len(rows)) == (macs.max(), macs.min(), 4)
    assert 5 < rule.n_passes < 6  # of which two look at two times three networks, or fewer
