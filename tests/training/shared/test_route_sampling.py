from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from tailorbird import spaces
from tailorbird.registry.route_draws import ROUTE_DRAWS
from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.training.shared.route_sampling import Draw, by_log_macs, draw_of, uniform

N = 3000
RNG = np.random.default_rng

# What draws gave for seed 3 and these steps before any space could be trained.
STEPS = (0, 1, 2, 7, 100)
DRAWN_BEFORE = {
    ("uniform", "one"): [[0, 5], [0, 10], [0, 18], [1, 39], [2, 0]],
    ("uniform", "huge"): [
        [0, 6, 89, 155],
        [0, 11, 75, 144],
        [0, 23, 94, 150],
        [0, 17, 77, 136],
        [1, 71, 119, 0],
    ],
    ("stitches", "one"): [[0, 2], [0, 15], [1, 27], [1, 40], [1, 0]],
    ("stitches", "huge"): [
        [0, 3, 69, 142],
        [0, 18, 104, 161],
        [0, 5, 66, 143],
        [1, 79, 161, 0],
        [1, 0, 0, 0],
    ],
    ("resources", "one"): [[1, 29], [1, 31], [1, 32], [1, 47], [0, 14]],
    ("resources", "huge"): [
        [0, 2, 73, 125],
        [0, 8, 62, 115],
        [0, 4, 66, 121],
        [0, 1, 69, 141],
        [0, 33, 87, 0],
    ],
}


@pytest.fixture(scope="module")
def huge() -> StitchSpace:
    space = StitchSpace(DigitsResNet(2, depth=12), Windows(3, 1), max_stitches=3)
    assert space.size > 20_000
    return space


def every_row(space: SearchSpace) -> IntArray:
    return np.concatenate(list(space.enumerate()))


def drawn(draw: Draw, n: int = N) -> IntArray:
    """Rows (n, d), each from a generator of its own, as those of training steps are."""
    return np.array([draw(RNG([5, step])) for step in range(n)])


def macs_by_row(space: SearchSpace) -> dict[tuple[int, ...], int]:
    X = every_row(space)
    return dict(zip(map(tuple, X.tolist()), count_macs(space, X).tolist(), strict=True))


@pytest.mark.parametrize(("draw", "which"), DRAWN_BEFORE)
def test_draws_of_stitched_networks_are_those_of_before(
    one_stitch: StitchSpace, huge: StitchSpace, draw: str, which: str
) -> None:
    one = draw_of(draw, {"one": one_stitch, "huge": huge}[which], 3)
    rows = [one(RNG([3, step])).tolist() for step in STEPS]
    assert rows == DRAWN_BEFORE[draw, which]


def test_uniform_draws_take_every_route_alike(one_stitch: StitchSpace) -> None:
    counts = Counter(map(tuple, drawn(uniform(one_stitch, 0)).tolist()))
    known = list(map(tuple, every_row(one_stitch).tolist()))
    assert counts.keys() == set(known)
    assert chisquare([counts[row] for row in known]).pvalue > 1e-3


def test_resource_draws_take_every_group_of_like_macs_alike(one_stitch: StitchSpace) -> None:
    """Groups by brute force, as the paper words it: a new one opens beyond the gap."""
    macs = macs_by_row(one_stitch)
    gap = (max(macs.values()) - min(macs.values())) / 50
    groups: list[list[tuple[int, ...]]] = []
    for row in sorted(macs, key=lambda row: macs[row]):
        if not groups or macs[row] > macs[groups[-1][0]] + gap:
            groups.append([])
        groups[-1].append(row)
    assert 10 < len(groups) < len(macs)
    assert all(macs[group[-1]] - macs[group[0]] <= gap for group in groups)
    check_even(drawn(draw_of("resources", one_stitch, 0)), groups)


def test_log_mac_draws_take_every_twentieth_of_the_range_alike() -> None:
    """Of digits-elastic no group is empty, and the largest has more than sixty networks."""
    space = spaces.get("digits-elastic")
    assert isinstance(space, Chain)
    macs = macs_by_row(space)
    logs = {row: np.log(n) for row, n in macs.items()}
    least, most = min(logs.values()), max(logs.values())
    groups: list[list[tuple[int, ...]]] = [[] for _ in range(20)]
    for row, log in logs.items():
        groups[min(19, int(20 * (log - least) / (most - least)))].append(row)
    groups = [group for group in groups if group]
    assert len(groups) >= 18
    assert max(map(len, groups)) > 20 * min(map(len, groups))
    check_even(drawn(by_log_macs(space, 0)), groups)


def check_even(rows: IntArray, groups: list[list[tuple[int, ...]]]) -> None:
    """Every group was drawn as often, and so was every network of the largest one."""
    counts = Counter(map(tuple, rows.tolist()))
    assert counts.keys() <= {row for group in groups for row in group}
    by_group = [sum(counts[row] for row in group) for group in groups]
    assert sum(by_group) == len(rows)
    assert chisquare(by_group).pvalue > 1e-3
    largest = max(groups, key=len)
    assert len(largest) > 2
    assert chisquare([counts[row] for row in largest]).pvalue > 1e-3


def test_resource_draws_of_a_huge_space_are_canonical(huge: StitchSpace) -> None:
    rows = drawn(draw_of("resources", huge, 0), 200)
    np.testing.assert_array_equal(huge.repair(rows), rows)
    macs = count_macs(huge, rows)
    assert macs.min() < 0.1 * macs.max()  # small networks are rare, but not in training


@pytest.mark.parametrize(
    "name", ["cifar-elastic", "fbnet", pytest.param("ofa-mobilenetv3", marks=pytest.mark.long)]
)
def test_log_mac_draws_of_a_huge_space_reach_small_and_large_networks(name: str) -> None:
    space = spaces.get(name)
    assert isinstance(space, Chain)
    assert space.size > 20_000
    rows = drawn(by_log_macs(space, 0), 400)
    np.testing.assert_array_equal(space.repair(rows), rows)
    logs, reached = (np.log(count_macs(space, X)) for X in (rows, space.landmarks))
    fifth = np.histogram(logs, bins=5, range=(reached.min(), reached.max()))[0]
    assert fifth.sum() == 400  # none is smaller or larger than the reference architectures
    assert fifth.min() > 400 / 5 / 2
    alone = np.log(count_macs(space, space.sample(400, RNG(0))))
    assert np.ptp(logs) > 1.3 * np.ptp(alone)


def spaces_of(draw: str, stitched: StitchSpace) -> list[spaces.SharedSpace]:
    elastic = spaces.get("digits-elastic")
    assert isinstance(elastic, Chain)
    return [stitched] if ROUTE_DRAWS[draw].of_stitches else [stitched, elastic]


@pytest.mark.parametrize("name", ROUTE_DRAWS)
def test_a_draw_depends_on_its_generator_alone(name: str, small_space: StitchSpace) -> None:
    for space in spaces_of(name, small_space):
        forwards, backwards = draw_of(name, space, 1), draw_of(name, space, 1)
        first = [forwards(RNG([1, step])).tolist() for step in range(40)]
        second = [backwards(RNG([1, step])).tolist() for step in reversed(range(40))][::-1]
        assert first == second
        assert [forwards(RNG([2, step])).tolist() for step in range(40)] != first


@pytest.mark.parametrize("name", ROUTE_DRAWS)
def test_a_space_of_anchors_alone_can_be_drawn_from(name: str, small_space: StitchSpace) -> None:
    rows = drawn(draw_of(name, small_space.with_at_most(0), 0), 40)
    assert {tuple(row) for row in rows.tolist()} == {(0,), (1,)}
