"""Settings of finetuning: those of the recipe, whatever the training of a space takes of it."""

import pytest

from tailorbird.errors import RecipeError
from tailorbird.pipeline.accuracy_sources.supernet_inputs import SupernetInputs
from tailorbird.pipeline.accuracy_sources.trained import TrainedAccuracy
from tailorbird.pipeline.accuracy_sources.union_inputs import UnionInputs
from tailorbird.pipeline.opening import open_recipe
from tailorbird.pipeline.run import Run

STITCHED = {"name": "digits-resnet", "max_stitches": 1}
ELASTIC = {"name": "digits-elastic"}


def opened(*tables: dict[str, object], **accuracy: object) -> tuple[Run, TrainedAccuracy]:
    run = open_recipe({"name": "a", "space": list(tables), "accuracy": accuracy})
    assert isinstance(run.accuracy, TrainedAccuracy)
    return run, run.accuracy


@pytest.mark.parametrize("distillation", ["soft", "hard", "none"])
@pytest.mark.parametrize("tables", [(STITCHED, ELASTIC), (ELASTIC,)])
def test_networks_of_every_space_learn_as_the_recipe_says(
    tables: tuple[dict[str, object], ...], distillation: str
) -> None:
    """Also where a supernet has nobody to learn from: then its weights are the same."""
    trainings = []
    for more in ({}, {"distillation": distillation}):
        run, accuracy = opened(*tables, finetune_epochs=3, **more)
        inputs = accuracy.inputs
        settings = [inputs.finetuning(row) for row in run.space.landmarks]
        assert {one.distillation for one in settings} == {more.get("distillation", "soft")}
        elastic = inputs.members[1] if isinstance(inputs, UnionInputs) else inputs
        assert isinstance(elastic, SupernetInputs)
        trainings.append(elastic.settings())
    assert distillation == "none" or trainings[0] == trainings[1]


@pytest.mark.parametrize(
    ("table", "weights", "n_epochs"),
    [
        (ELASTIC, {}, 300),
        (ELASTIC, {"largest": "a.pt"}, None),
        (STITCHED, {"train_epochs": 2}, 4 * 2 + 150),
    ],
)
def test_weights_that_began_in_a_file_had_nobody_knows_how_many_passes(
    table: dict[str, object], weights: dict[str, object], n_epochs: int | None
) -> None:
    for tables in ((table,), (table, ELASTIC if table is STITCHED else STITCHED)):
        run, accuracy = opened(*tables, **weights)
        row = run.space.landmarks[0]
        alone = accuracy.inputs.alone(row)
        assert (None if alone is None else alone.epochs - 30) == n_epochs
        if n_epochs is None:
            with pytest.raises(RecipeError, match=r"nobody knows for how long\. Leave out"):
                accuracy.finetuner().check(row, from_scratch=True)
