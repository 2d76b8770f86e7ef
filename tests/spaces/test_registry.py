import pytest

from tailorbird import spaces
from tailorbird.errors import RecipeError
from tailorbird.spaces.stitching import StitchSpace


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("digit-resnet", {}, "did you mean 'digits-resnet'"),
        ("digits-resnet", {"kernal": 3}, "did you mean 'kernel'"),
        ("digits-resnet", {"kernel": "3"}, "valid integer, but got '3'"),
        ("digits-resnet", {"kernel": 0}, "`kernel >= 1` must hold, but got 0"),
        ("digits-resnet", {"max_stitches": -1}, "max_stitches"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(
    name: str, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(RecipeError, match=message.replace("(", r"\(")):
        spaces.get(name, **settings)


def test_keys_hold_all_that_latency_depends_on() -> None:
    keys = [
        {w.key for w in spaces.get("digits-resnet", batch=batch).workloads} for batch in (1, 16)
    ]
    assert len(keys[0]) == 15
    assert not keys[0] & keys[1]
    assert "residual_block(width=8)[16x8x8x8]f32" in keys[1]


@pytest.mark.parametrize("name", ["cifar-resnet", "resnet-18-50", "deit3-s-l"])
def test_windows_are_offered_only_where_they_slide(name: str) -> None:
    with pytest.raises(RecipeError, match="has no setting 'kernel'"):
        spaces.get(name, kernel=3)


def test_both_directions_have_no_windows() -> None:
    with pytest.raises(RecipeError, match="no kernel"):
        spaces.get("deit-ti-s-b", stitches="two-way", kernel=2)


def test_what_an_anchor_draws_does_not_depend_on_its_stitches() -> None:
    one, three = (spaces.get("digits-resnet", kernel=k, max_stitches=1) for k in (1, 3))
    assert isinstance(one, StitchSpace)
    assert isinstance(three, StitchSpace)
    n = sum(part.kind != "stitch" for part in one.parts)
    assert one.parts[:n] == three.parts[:n]
