"""Places of stitches: every one that could be, and those that were chosen."""

import numpy as np
import pytest

from tailorbird import spaces
from tailorbird.spaces.stitching import EveryPlace, Places, Stitch, StitchSpace
from tailorbird.spaces.stitching.families.cifar_resnet import CifarResNet
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet

CIFAR = CifarResNet(1, ("r20", "r32"), ((3, 3, 3), (5, 5, 5)), name="two")


def test_every_place_on_an_equal_grid_has_a_layer_of_its_own() -> None:
    family = DigitsResNet(1, widths=(4, 8, 16), depth=3)  # one grid all through
    neighbours, every = (EveryPlace(reach).stitches(family) for reach in ("neighbours", "all"))
    assert len(neighbours) == 2 * 3 * 2  # each block but the first may be entered behind any
    assert len(every) == 3 * 3 * 2
    assert len({stitch.part for stitch in every}) == len(every)
    for stitches in (neighbours, every):
        pairs = [(stitch.source, stitch.target) for stitch in stitches]
        assert pairs == sorted(pairs)


def test_where_a_stage_changes_the_grid_stitches_lead_into_the_next_stage() -> None:
    found = EveryPlace().stitches(CIFAR)
    space = StitchSpace(CIFAR, EveryPlace(), max_stitches=1)  # which refuses unequal grids
    assert len(space.stitches) == len(found)
    leaves = {stitch.leave for stitch in found if stitch.enter == 5}  # the first of stage two
    assert leaves == {0, 1, 2}
    assert {stitch.enter for stitch in found if stitch.leave == 2} == {1, 2, 3, 4, 5}
    assert {stitch.enter for stitch in found if stitch.leave == 8} == {11, 12, 13, 14}
    for row in space.crossings:
        assert space.build(row)


def test_chosen_places_are_stitches_in_their_order() -> None:
    chosen = ((0, 1, 1, 2), (0, 2, 1, 4), (1, 0, 2, 1))
    rule = Places(chosen)
    family = DigitsResNet(1)
    assert rule.stitches(family) == (
        Stitch(0, 1, 1, 2, 0),
        Stitch(0, 2, 1, 4, 1),
        Stitch(1, 0, 2, 1, 0),
    )
    assert str(rule).startswith("places=3-")
    assert Places(chosen[::2] + chosen[1:2]).stitches(family) == rule.stitches(family)
    assert str(Places(chosen[:2])) != str(Places(chosen[1:]))


@pytest.mark.parametrize("max_stitches", [1, 3])
def test_a_space_takes_other_stitches(max_stitches: int) -> None:
    space = spaces.get("digits-resnet", max_stitches=max_stitches)
    assert isinstance(space, StitchSpace)
    other = space.with_stitches(Places(((0, 1, 1, 2), (1, 3, 2, 4))))
    assert other.max_stitches == max_stitches
    assert other.size == 4 + 2 + (max_stitches > 1)
    np.testing.assert_array_equal(other.crossings[:, :2], [[0, 1], [1, 2]])
    assert [other.describe(row) for row in other.crossings] == [
        "w4:0-1 > w8:2-5",
        "w8:0-3 > w16:4-5",
    ]
