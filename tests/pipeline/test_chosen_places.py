"""Recipes whose stitches are chosen by what trained anchors answer."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from own_code import Perceptrons

from tailorbird.errors import MissingStepError, RecipeError
from tailorbird.pipeline.opening import open_recipe
from tailorbird.progress import NoProgress
from tailorbird.spaces.stitching import StitchSpace

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "chosen"
[space]
{space}
[latency]
runtime = "own_code:Simulator"
rounds = 2
[accuracy]
{accuracy}
[search]
population = 8
generations = 2
[report]
networks = 2
random_networks = 2
"""
OWN = """
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet


def space(batch, depth=6):
    family = DigitsResNet(batch, widths=(4, 8), depth=depth)
    return StitchSpace(family, Windows(1, 1), max_stitches=1)


class Own(StitchSpace):
    pass


def of_a_class(batch):
    made = Own(DigitsResNet(batch), Windows(1, 1), max_stitches=1)
    made.name = "own"
    return made
"""
SPACE = 'name = "digits-resnet"\nmax_stitches = 1\nchoose = "klas"'
ACCURACY = """data = "digits"
train_epochs = 1
stitch_epochs = 1
stitch_images = 50
evaluations = 10
predictor = "ridge"
"""


def write(space: str = SPACE, accuracy: str = ACCURACY) -> Path:
    Path("r.toml").write_text(RECIPE.format(space=space, accuracy=accuracy))
    return Path("r.toml")


@pytest.mark.long
def test_stitches_are_chosen_once_and_searched(tailorbird: Tailorbird) -> None:
    path = write()
    code, out, err = tailorbird("run", str(path))
    assert code == 0, err
    assert "test accuracy, %" in out
    summary = json.loads(Path("runs/chosen/summary.json").read_text())
    assert "digits-resnet(places=" in summary["accuracies_of"]
    chosen = Path("runs/chosen/weights/places.safetensors")
    before = {file: file.read_bytes() for file in chosen.parent.iterdir() if file.is_file()}
    run = open_recipe(path, NoProgress())
    assert isinstance(run.space, StitchSpace)
    assert run.space.max_stitches == 1
    assert len(run.space.stitches) > 9  # three pairs of anchors with six ranges each
    assert {stitch.target - stitch.source for stitch in run.space.stitches} == {1}
    assert run.train().fingerprint in tailorbird("train", str(path))[1]
    assert {file: file.read_bytes() for file in before} == before
    chosen.write_bytes(before[chosen][:100])  # torn: chosen again, and the same
    with pytest.raises(MissingStepError, match=r"`tailorbird train .*r\.toml` chooses them"):
        open_recipe(path, NoProgress())
    assert open_recipe(path, NoProgress(), unchosen="choose").space.name == run.space.name
    assert chosen.read_bytes() == before[chosen]
    every = write(SPACE + '\npairs = "all"')
    reached = open_recipe(every, NoProgress(), unchosen="choose").space
    assert isinstance(reached, StitchSpace)
    assert {stitch.target - stitch.source for stitch in reached.stitches} == {1, 2, 3}


@pytest.mark.parametrize(
    ("space", "accuracy", "reason"),
    [
        (SPACE.replace('"klas"', '"klass"'), ACCURACY, r"choose' must be 'klas', but got 'klass'"),
        (SPACE.replace("choose", "chose"), ACCURACY, r"there is no key .*chose.*did you mean"),
        (SPACE + "\nkernel = 2", ACCURACY, "kernel says which stitches there are"),
        (SPACE + "\nbelow_larger_anchor = true", ACCURACY, "below_larger_anchor says which"),
        ('module = "own_code:Perceptrons"\nchoose = "klas"', 'table = "t.csv"', "none are trained"),
        ('name = "digits-elastic"\nchoose = "klas"', 'data = "digits"', "none are trained here"),
        ('programs = "own_code:programs"\nchoose = "klas"', "", "programs have none: drop it"),
        (SPACE, ACCURACY.replace("= 50", "= 0"), "looks at images, but .* stitch_images is 0"),
        (SPACE.replace("= 1", "= 0"), ACCURACY, "max_stitches is 0"),
        (SPACE, ACCURACY + 'earlier = "t.csv"', "names networks by their stitches, which are not"),
        (SPACE + '\npairs = "some"', ACCURACY, "'pairs' of space 'digits-resnet'"),
    ],
)
def test_what_cannot_be_chosen_is_refused_before_anything_is_trained(
    tailorbird: Tailorbird, space: str, accuracy: str, reason: str
) -> None:
    X = np.concatenate(list(Perceptrons().enumerate()))
    lines = [f"{Perceptrons().describe(row)},{sum(row) / 9}" for row in X.tolist()]
    Path("t.csv").write_text("\n".join(["architecture,accuracy", *lines]))
    with pytest.raises(RecipeError, match=reason):
        open_recipe(write(space, accuracy), NoProgress(), unchosen="choose")
    assert not list(Path().rglob("anchor-*"))


def test_commands_that_train_nothing_do_not_train_to_choose(tailorbird: Tailorbird) -> None:
    path = write()
    for command in ("search", "profile", "export", "report"):
        code, _, err = tailorbird(command, str(path))
        assert code
        assert "Places of stitches are not chosen yet" in err
    assert not list(Path().rglob("anchor-*"))


@pytest.mark.long
def test_a_family_of_the_same_name_has_other_places(tailorbird: Tailorbird) -> None:
    Path("own_family.py").write_text(OWN)
    found = []
    for depth in (6, 8, 3, 6):
        path = write(f'module = "own_family:space"\ndepth = {depth}\nchoose = "klas"')
        run = open_recipe(path, NoProgress(), unchosen="choose")
        assert isinstance(run.space, StitchSpace)
        assert run.space.depths == (depth, depth)
        assert len(run.space.stitches) <= depth
        found.append(run.space.name)
    assert found[0] == found[3]


def test_more_than_stitches_is_not_lost(tailorbird: Tailorbird) -> None:
    Path("own_family.py").write_text(OWN)
    path = write('module = "own_family:of_a_class"\nchoose = "klas"')
    with pytest.raises(RecipeError, match="own is a Own, of which more would be lost"):
        open_recipe(path, NoProgress(), unchosen="choose")


def test_a_union_chooses_none(tailorbird: Tailorbird) -> None:
    text = RECIPE.format(space=SPACE, accuracy=ACCURACY).replace("[space]", "[[space]]")
    Path("r.toml").write_text(text + '[[space]]\nname = "digits-elastic"\n')
    with pytest.raises(RecipeError, match="number 1 has choose, but stitches are chosen for one"):
        open_recipe(Path("r.toml"), NoProgress())


def test_the_rest_of_a_recipe_is_checked_before_anchors_are_trained(
    tailorbird: Tailorbird,
) -> None:
    path = write(accuracy=ACCURACY + 'evaluator = "own_code:nothing_of_that_name"\n')
    with pytest.raises(RecipeError, match="nothing_of_that_name"):
        open_recipe(path, NoProgress(), unchosen="choose")
    assert not list(Path().rglob("anchor-*"))
