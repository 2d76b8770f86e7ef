"""Strict fairness: how often each choice is trained."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_spaces import space_of
from supernet_steps import N_STEPS, inputs, step_of

from tailorbird.errors import ContractError
from tailorbird.training import RuleInputs
from tailorbird.training.supernet.rules.strict_fairness import dealt, strict_fairness


@given(
    n_choices=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    seed=st.integers(0, 3),
    cycle=st.integers(0, 5),
)
def test_each_choice_is_dealt_equally_often_over_a_cycle(
    n_choices: list[int], seed: int, cycle: int
) -> None:
    n = math.lcm(*n_choices)
    X = dealt(n_choices, range(cycle * n, (cycle + 1) * n), seed)
    for column, k in zip(X.T, n_choices, strict=True):
        assert Counter(column.tolist()) == dict.fromkeys(range(k), n // k)
        for once in np.split(column, n // k):  # and once whenever all were dealt before
            assert sorted(once.tolist()) == [*range(k)]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 40), st.integers(1, 9))
def test_what_is_dealt_follows_from_the_number_alone(
    n_choices: list[int], first: int, n: int
) -> None:
    whole = dealt(n_choices, range(50), 0)
    np.testing.assert_array_equal(
        dealt(n_choices, range(first, first + n), 0), whole[first : first + n]
    )


def test_a_step_of_variables_with_as_many_choices_is_fair() -> None:
    space = space_of("cifar-elastic")  # three of each
    rule = strict_fairness(inputs(space))
    assert rule.n_passes == 3
    depths = [j for j, variable in enumerate(space.variables) if "depth" in variable.name]
    step = step_of(space)
    rows = [rule.rows(replace(step, number=number)) for number in range(4)]
    for X in rows:
        for j in depths:  # which are in every network
            assert sorted(X[:, j]) == [0, 1, 2]
    assert len({X.tobytes() for X in rows}) == len(rows)


def test_all_networks_of_digits_are_dealt_alike() -> None:
    space = space_of("digits-elastic")
    rule = strict_fairness(inputs(space))
    step = step_of(space)
    X = np.concatenate([rule.rows(replace(step, number=n)) for n in range(N_STEPS)])
    depth, to = Counter(X[:, 0].tolist()), Counter(X[:, 1].tolist())
    assert [*depth.values()] == [N_STEPS] * 4
    assert max(to.values()) - min(to.values()) <= 1
    assert len(np.unique(X, axis=0)) > 150


@pytest.mark.parametrize("seed", [0, 1])
def test_seeds_deal_differently(seed: int) -> None:
    space = space_of("digits-elastic")
    given, step = inputs(space), step_of(space, 3)
    rules = [
        strict_fairness(RuleInputs(space, given.draw, given.loss, "soft", one))
        for one in (seed, seed, seed + 1)
    ]
    first, same, other = (rule.rows(step) for rule in rules)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["regnet", "digits-resnet"])
def test_spaces_that_lack_networks_are_refused(name: str) -> None:
    with pytest.raises(ContractError, match="is for spaces with a network for all choices"):
        strict_fairness(inputs(space_of(name)))
