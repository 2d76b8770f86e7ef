"""Networks by their texts, where the whole space has to be searched."""

import numpy as np
import pytest
from conftest import TinyFamily

from tailorbird import spaces
from tailorbird.errors import RecipeError
from tailorbird.reports import by_text
from tailorbird.reports.by_text import find
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.unions import union_of

LARGE = spaces.get("mobile-elastic", batch=2, resolution=32, n_classes=10)


def tiny(name: str, n_anchors: int = 2) -> StitchSpace:
    return StitchSpace(TinyFamily(n_anchors, 3, name), Windows(2, 1), max_stitches=1)


def test_a_space_too_large_to_describe_is_not_searched() -> None:
    text = LARGE.describe(LARGE.landmarks[0])
    law = r"spaces of up to 1,000,000, but mobile-elastic.* has [\d,]+\. Take one of the checked fr"
    with pytest.raises(RecipeError, match=law):
        find(LARGE, text)


def test_a_network_of_a_union_is_found_in_its_own_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a union of unions, and beside a space that is too large to be searched."""
    inner = union_of([tiny("one"), tiny("two", 4)])
    inner.name = "inner"
    for union in (inner, union_of([inner, tiny("three")])):
        for row in np.vstack(list(union.enumerate())):
            np.testing.assert_array_equal(find(union, union.describe(row)), row)
    monkeypatch.setattr(by_text, "MOST_DESCRIBED", inner.members[0].size)
    assert inner.members[1].size > inner.members[0].size
    small, large = inner.landmarks[[0, -1]]
    np.testing.assert_array_equal(find(inner, inner.describe(small)), small)
    with pytest.raises(RecipeError, match=r"but two.* has \d+\. Take one of the checked front"):
        find(inner, inner.describe(large))


def test_hints_are_whole_texts() -> None:
    union = union_of([tiny("one"), tiny("two", 3)])
    right = union.describe(union.landmarks[-1])
    with pytest.raises(RecipeError, match=f"in union.*; did you mean '{right}'"):
        find(union, f"{right} ")
    for wrong in ("three: a0:0-2", "a0:0-2", ""):
        with pytest.raises(RecipeError, match=r"networks begin with 'one: ', 'two: '\."):
            find(union, wrong)
