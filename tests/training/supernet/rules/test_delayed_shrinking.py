"""Delayed shrinking: when all networks are trained, with which weight, and what it costs."""

from dataclasses import replace

import numpy as np
import pytest
from shared_spaces import space_of
from supernet_steps import N_STEPS, inputs, passes, step_of

from tailorbird.spaces.footprint import count_macs
from tailorbird.training.supernet.rules.delayed_shrinking import delayed_shrinking, weight_at
from tailorbird.training.supernet.rules.sandwich import sandwich

RNG = np.random.default_rng


def test_the_largest_network_is_trained_alone_for_half_of_all_steps() -> None:
    space = space_of("own-net")
    macs = count_macs(space, np.concatenate(list(space.enumerate())))
    rule = delayed_shrinking(inputs(space))
    step = step_of(space)
    every = [rule.rows(replace(step, rng=RNG(n), number=n)) for n in range(N_STEPS)]
    assert [len(X) for X in every] == [1] * (N_STEPS // 2) + [4] * (N_STEPS // 2)
    assert sum(map(len, every)) == rule.n_passes * N_STEPS
    assert all(count_macs(space, X)[0] == macs.max() for X in every)
    as_before = sandwich(inputs(space))
    for number in (N_STEPS // 2, N_STEPS - 1):
        expected = as_before.rows(replace(step, rng=RNG(number)))
        np.testing.assert_array_equal(every[number], expected)


def test_the_weight_of_others_rises_from_little_to_one() -> None:
    weights = [weight_at(fraction) for fraction in np.linspace(0.5, 1, 101)]
    assert weights[0] == pytest.approx(0.01)
    assert weights[50:] == [1.0] * 51
    np.testing.assert_allclose(np.diff(weights[:51]), 0.99 / 50)


@pytest.mark.parametrize("distillation", ["soft", "hard", "none"])
@pytest.mark.parametrize("fraction", [0.5, 0.6, 0.75, 0.99])
def test_losses_are_weighted_but_that_of_the_largest(distillation: str, fraction: float) -> None:
    given = inputs(space_of("own-net"), distillation=distillation)
    rule, whole = delayed_shrinking(given), sandwich(given)
    for number, weight in ((0, 1.0), (1, weight_at(fraction)), (3, weight_at(fraction))):
        one = passes(number, fraction)
        assert rule.loss(one).item() == pytest.approx(weight * whole.loss(one).item(), rel=1e-6)
