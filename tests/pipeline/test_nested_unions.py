"""Unions that a module of the user's own makes, beside other spaces of a recipe."""

import pytest
from own_unions import both

from tailorbird import spaces
from tailorbird.pipeline.accuracy_sources.trained import TrainedAccuracy
from tailorbird.pipeline.opening import open_recipe
from tailorbird.spaces.unions import member_row, union_of
from tailorbird.spaces.unions.members import leaves_of

STITCHED, ELASTIC = {"name": "digits-resnet", "max_stitches": 1}, {"name": "digits-elastic"}
ACCURACY = {
    "module": "users_module:good",
    "train_epochs": 2,
    "stitch_epochs": 3,
    "supernet_epochs": 4,
    "rule": "strict-fairness",
}
N_EPOCHS = {"digits-resnet": 4 * 2 + 3, "mine": 2 * 2 + 3, "digits-elastic": 4, "own-net": 4}


@pytest.mark.parametrize(
    ("made", "beside"), [("elastics", STITCHED), ("both", ELASTIC), ("both", STITCHED)]
)
def test_each_space_of_a_nested_union_takes_the_keys_of_its_kind(
    made: str, beside: dict[str, object]
) -> None:
    nested = {"module": f"own_unions:{made}"}
    for tables in ([nested, beside], [beside, nested]):
        run = open_recipe({"name": "a", "space": tables, "accuracy": ACCURACY})
        assert isinstance(run.accuracy, TrainedAccuracy)
        inputs = run.accuracy.inputs
        inputs.check_keys()
        for row in run.space.landmarks:
            alone = inputs.alone(row)
            assert alone is not None
            label = member_row(run.space, row)[0].name.partition("(")[0]
            assert alone.epochs == 30 + N_EPOCHS[label]


def test_leaves_are_no_unions() -> None:
    union = both(2)
    union.name = "both"
    nested = union_of([spaces.get("digits-resnet", batch=2), union])
    assert leaves_of(nested) == (nested.members[0], *union.members)
    assert leaves_of(union.members[0]) == (union.members[0],)
