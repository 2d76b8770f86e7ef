from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import chisquare

from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.training.stitching import route_sampling

N = 3000


@pytest.fixture
def every_row(one_stitch: StitchSpace) -> np.ndarray:
    return np.concatenate(list(one_stitch.enumerate()))


def test_uniform_draws_take_every_route_alike(
    one_stitch: StitchSpace, every_row: np.ndarray
) -> None:
    drawn = route_sampling.uniform(one_stitch, 0)
    counts = Counter(tuple(drawn(step)) for step in range(N))
    assert counts.keys() == {tuple(row) for row in every_row}
    assert chisquare([counts[tuple(row)] for row in every_row]).pvalue > 1e-3


def test_resource_draws_take_every_group_of_like_macs_alike(
    one_stitch: StitchSpace, every_row: np.ndarray
) -> None:
    """Groups by brute force, as the paper words it: a new one opens beyond the gap."""
    macs = dict(zip(map(tuple, every_row), count_macs(one_stitch, every_row).tolist(), strict=True))
    gap = (max(macs.values()) - min(macs.values())) / 50
    groups: list[list[tuple[int, ...]]] = []
    for row in sorted(macs, key=lambda row: macs[row]):
        if not groups or macs[row] > macs[groups[-1][0]] + gap:
            groups.append([])
        groups[-1].append(row)
    assert 10 < len(groups) < len(every_row)
    assert all(macs[group[-1]] - macs[group[0]] <= gap for group in groups)
    drawn = route_sampling.by_resources(one_stitch, 0)
    counts = Counter(tuple(drawn(step)) for step in range(N))
    assert counts.keys() == macs.keys()
    by_group = [sum(counts[row] for row in group) for group in groups]
    assert chisquare(by_group).pvalue > 1e-3
    largest = max(groups, key=len)
    assert len(largest) > 2
    assert chisquare([counts[row] for row in largest]).pvalue > 1e-3


def test_resource_draws_of_a_huge_space_are_canonical() -> None:
    huge = StitchSpace(DigitsResNet(2, depth=12), Windows(3, 1), max_stitches=3)
    assert huge.size > 20_000
    drawn = route_sampling.by_resources(huge, 0)
    rows = np.array([drawn(step) for step in range(200)])
    np.testing.assert_array_equal(huge.repair(rows), rows)
    macs = count_macs(huge, rows)
    assert macs.min() < 0.1 * macs.max()  # small networks are rare, but not in training


@pytest.mark.parametrize(
    "kind", [route_sampling.uniform, route_sampling.by_stitches, route_sampling.by_resources]
)
def test_a_draw_depends_on_seed_and_step_alone(
    small_space: StitchSpace, kind: Callable[[StitchSpace, int], route_sampling.Draw]
) -> None:
    forwards, backwards = kind(small_space, 1), kind(small_space, 1)
    first = np.array([forwards(step) for step in range(40)])
    second = np.array([backwards(step) for step in reversed(range(40))])[::-1]
    np.testing.assert_array_equal(first, second)
    other = kind(small_space, 2)
    assert (np.array([other(step) for step in range(40)]) != first).any()


def test_a_space_of_anchors_alone_can_be_drawn_from(small_space: StitchSpace) -> None:
    alone = small_space.with_at_most(0)
    for kind in (route_sampling.uniform, route_sampling.by_stitches, route_sampling.by_resources):
        drawn = kind(alone, 0)
        assert {tuple(drawn(step)) for step in range(40)} == {(0,), (1,)}
