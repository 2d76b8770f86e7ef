"""Losses that networks have before a step: what they are, and what having them leaves behind."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from own_shared import of_images
from shared_spaces import assert_same, rows_of, space_of
from supernet_steps import step_of
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tailorbird.spaces import SharedSpace
from tailorbird.training.supernet.rules.losses_now import losses_now


class Dropping(nn.Conv2d):
    """Drops half of what it computes, in training."""

    def __init__(self, width: int, to: int) -> None:
        super().__init__(width, to, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(super().forward(x), 0.5, self.training)


def dropping() -> SharedSpace:
    return of_images(Dropping, to=(4, 8))


@pytest.mark.parametrize("name", ["digits-elastic", "own-net", "tied", "recomputed"])
def test_they_are_those_of_training(name: str) -> None:
    space = space_of(name)
    X, step = rows_of(space, 4), step_of(space)
    network = copy.deepcopy(step.network)
    expected = [
        F.cross_entropy(network(step.images, space.route(row)), step.labels).item() for row in X
    ]
    np.testing.assert_allclose(losses_now(space, step, X), expected, rtol=1e-6)


@pytest.mark.parametrize("space", [dropping(), space_of("stateful")], ids=["drops", "counts"])
def test_a_step_has_the_same_ones_again(space: SharedSpace) -> None:
    """Whatever drops out or is counted."""
    X, step = rows_of(space, 4), step_of(space)
    first = losses_now(space, step, X)
    step.rng.random(3)
    torch.rand(7)
    again = losses_now(space, step_of(space), X)
    np.testing.assert_array_equal(first, again)
    step.rng.bit_generator.state = step_of(space).rng.bit_generator.state
    np.testing.assert_array_equal(losses_now(space, step, X), first)


@pytest.mark.parametrize("name", ["digits-elastic", "stateful"])
def test_the_network_is_left_as_it_was(name: str) -> None:
    space = space_of(name)
    step = step_of(space)
    before, state = copy.deepcopy(step.network.state_dict()), torch.get_rng_state()
    losses_now(space, step, rows_of(space, 4))
    norms = {n for n, m in step.network.named_modules() if isinstance(m, _BatchNorm)}
    for key, tensor in step.network.state_dict().items():
        if key.rpartition(".")[0] not in norms:
            assert_same(tensor, before[key])
    assert_same(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in step.network.parameters())
    windowed = [m for one in step.network._windowed.values() for m in one.module.modules()]
    assert windowed
    assert not any(tensor is not None for m in windowed for tensor in m._parameters.values())
