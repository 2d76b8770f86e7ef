"""Probability shift: sizes that lack more are trained more often, and none starves."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shared_spaces import space_of
from supernet_steps import inputs, step_of

from tailorbird.spaces.footprint import count_macs
from tailorbird.training.shared.size_groups import size_groups
from tailorbird.training.supernet.rules.probability_shift import (
    N_GROUPS,
    probabilities,
    probability_shift,
)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=8))
def test_groups_are_the_more_probable_the_higher_their_losses(losses: list[float]) -> None:
    p = probabilities(np.array(losses))
    assert p.sum() == pytest.approx(1)
    assert (p >= 0.5 / len(p) - 1e-12).all()
    order = np.argsort(losses, kind="stable")
    assert (np.diff(p[order]) >= -1e-12).all()


@pytest.mark.parametrize("losses", [[0.0, 0.0], [np.inf, 1.0], [np.nan, 1.0]])
def test_losses_that_say_nothing_leave_groups_even(losses: list[float]) -> None:
    assert probabilities(np.array(losses)).tolist() == [0.5, 0.5]


def test_two_networks_of_different_sizes_are_trained() -> None:
    space = space_of("digits-elastic")
    groups = size_groups(space, 0, N_GROUPS).rows
    assert len(groups) == N_GROUPS
    number_of = {tuple(row): k for k, group in enumerate(groups) for row in group.tolist()}
    rule = probability_shift(inputs(space))
    assert rule.n_passes == 4  # of which two look at six networks
    seen = set[int]()
    for number in range(12):
        X = rule.rows(step_of(space, number))
        numbers = {number_of[tuple(row)] for row in X.tolist()}
        assert len(X) == len(numbers) == 2
        seen |= numbers
    assert seen == {*range(N_GROUPS)}


def test_networks_that_answer_worse_are_trained_more_often() -> None:
    """Large networks have weights that small ones lack, which are made useless."""
    space = space_of("own-net")
    groups = size_groups(space, 0, N_GROUPS).rows
    bounds = [count_macs(space, group).max() for group in groups]
    rule = probability_shift(inputs(space))

    def often(scale: float) -> float:
        """Mean number of the group of networks that are trained, by MACs."""
        numbers, step = [], step_of(space)
        with torch.no_grad():
            for name, parameter in step.network.named_parameters():
                if "stage1" in name:  # which small networks leave out
                    parameter.mul_(scale)
        for _ in range(40):
            macs = count_macs(space, rule.rows(step))
            numbers += np.searchsorted(bounds, macs).tolist()
        return float(np.mean(numbers))

    assert often(scale=100) > often(scale=1) + 0.3
