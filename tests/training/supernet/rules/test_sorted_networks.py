"""Sorted networks: those of a step lie in each other, and are all sorts of networks in time."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from shared_spaces import assert_same, space_of, windows_of
from supernet_steps import inputs, passes, step_of

from tailorbird.errors import ContractError
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.spaces.footprint import count_macs
from tailorbird.training import SharedNetwork
from tailorbird.training.shared.network import fresh
from tailorbird.training.supernet.rules.sorted_networks import (
    size_ranks,
    sorted_choices,
    sorted_networks,
)

Values = set[tuple[int, int]]


def values_of(space: SharedSpace, network: SharedNetwork, row: IntArray) -> Values:
    """Every single value of the shared weights that a network has: of which tensor, and where."""
    values: Values = set()
    for whole, window, _ in windows_of(network, space.route(row)):
        places = torch.arange(whole.numel()).reshape(whole.shape)[window]
        values |= {(id(whole), place) for place in places.flatten().tolist()}
    return values


@pytest.mark.parametrize("name", ["own-net", "normed", "tied"])
def test_networks_of_a_step_lie_in_each_other(name: str) -> None:
    """By the values of the weights that they have, whatever the order of choices."""
    space, network = space_of(name), fresh(space_of(name), 0)
    rule = sorted_networks(inputs(space))
    n_strictly = 0
    for number in range(8):
        X = rule.rows(step_of(space, number))
        assert len(X) == rule.n_passes == 4
        macs = count_macs(space, X)
        assert (np.diff(macs) <= 0).all()
        values = [values_of(space, network, row) for row in X]
        for outer, inner in pairwise(values):
            assert inner <= outer
            n_strictly += inner < outer
    assert n_strictly > 4


def test_choices_are_those_of_drawn_networks() -> None:
    """So each is trained as often as the draw has it."""
    space = space_of("digits-elastic")
    X = space.sample(4, np.random.default_rng(0))
    Y = sorted_choices(X, size_ranks(space))
    np.testing.assert_array_equal(np.sort(X, axis=0), np.sort(Y, axis=0))
    assert (np.diff(Y, axis=0) <= 0).all()  # its choices go from small to large


def test_choices_are_ranked_by_size_whatever_their_order() -> None:
    space = space_of("own-net")  # whose second stage has a depth of two, zero or one
    ranks = dict(zip([v.choices for v in space.variables], size_ranks(space), strict=True))
    assert ranks["2", "0", "1"].tolist() == [2, 0, 1]
    assert ranks["1", "2", "4"].tolist() == [0, 1, 2]


def test_all_learn_from_labels() -> None:
    rule = sorted_networks(inputs(space_of("own-net")))
    for number in range(4):
        one = passes(number)
        assert_same(rule.loss(one), F.cross_entropy(one.logits, one.labels))


@pytest.mark.parametrize("name", ["digits-resnet", "macro-mobilenetv2", "fbnet"])
def test_networks_that_lie_in_no_other_are_refused(name: str) -> None:
    space = space_of(name)
    with pytest.raises(ContractError, match=r"weights that larger ones lack, in .+\. Take") as told:
        sorted_networks(inputs(space))
    assert space.name in str(told.value)
    assert len(str(told.value)) < 300
