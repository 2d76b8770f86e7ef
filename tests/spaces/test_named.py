import pytest

from tailorbird import spaces
from tailorbird.errors import RecipeError


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
