"""Outlines of networks: every workload that runs is drawn, as often as it runs."""

from collections import Counter

import numpy as np
import pytest

from tailorbird import spaces
from tailorbird.spaces.outline import HasOutline
from tailorbird.spaces.space import IntArray, SearchSpace

DRAWN = [
    *("cifar-resnet", "deit-ti-s-b", "digits-elastic", "digits-resnet", "elastic-vit"),
    *("fbnet", "macro-mobilenetv2", "mobile-elastic", "ofa-mobilenetv3", "regnet"),
]


def rows_of(space: SearchSpace) -> IntArray:
    return np.vstack([space.landmarks, space.sample(5, np.random.default_rng(0))])


@pytest.mark.parametrize("name", DRAWN)
def test_what_runs_is_drawn_as_often_as_it_runs(name: str) -> None:
    space = spaces.get(name)
    assert isinstance(space, HasOutline)
    for row in rows_of(space):
        drawn = Counter(b.workload for b in space.outline(row).blocks if b.workload is not None)
        counts = space.count_workloads(row[None]).toarray()[0]
        runs = {w: n for w, n in zip(space.workloads, counts, strict=True) if n}
        assert drawn == runs


@pytest.mark.parametrize("name", DRAWN)
def test_blocks_lie_along_the_network(name: str) -> None:
    space = spaces.get(name)
    assert isinstance(space, HasOutline)
    for row in rows_of(space):
        outline = space.outline(row)
        for block in outline.blocks:
            assert min(block.begin, block.end) >= 0
            assert max(block.begin, block.end) <= 1 + 1e-12
            assert block.width > 0
            assert 0 <= block.lane < len(outline.lanes)
        for lane in range(len(outline.lanes)):
            of_lane = [b for b in outline.blocks if b.lane == lane and b.to is None]
            ends = [place for b in of_lane for place in (b.begin, b.end)]
            assert ends == sorted(ends)


def test_a_stitch_leads_from_the_block_that_is_left_to_the_one_that_is_entered() -> None:
    space = spaces.get("digits-resnet", max_stitches=1)
    assert isinstance(space, HasOutline)
    row = next(
        row for X in space.enumerate() for row in X if space.describe(row) == "w4:0-2 > w8:3-5"
    )
    outline = space.outline(row)
    (stitch,) = [block for block in outline.blocks if block.to is not None]
    assert (outline.lanes[stitch.lane], outline.lanes[stitch.to or 0]) == ("w4", "w8")
    taken = {
        lane: [b for b in outline.blocks if b.lane == lane and b.workload and b.to is None]
        for lane in (0, 1)
    }
    assert stitch.begin == pytest.approx(taken[0][-1].end)
    assert stitch.end == pytest.approx(taken[1][0].begin)
    assert stitch.width == 8


def test_kernels_are_written_and_what_is_left_out_is_kept_as_a_gap() -> None:
    space = spaces.get("ofa-mobilenetv3")
    assert isinstance(space, HasOutline)
    small, *_, large = (space.outline(row) for row in space.landmarks)
    assert sum(block.workload is None for block in small.blocks) == 10
    labels = [block.label for block in large.blocks if block.label]
    assert labels == ["3", *["7"] * 20]  # the first block has no choice
    assert len(small.blocks) == len(large.blocks)


def test_a_row_that_is_none_is_refused() -> None:
    for name in ("digits-resnet", "digits-elastic"):
        space = spaces.get(name)
        assert isinstance(space, HasOutline)
        with pytest.raises(ValueError, match="canonical"):
            space.outline(np.full(len(space.variables), 99))
