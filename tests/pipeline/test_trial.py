"""A user's family, data, evaluator and teacher are tried before anything is measured or trained."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import users_module

from tailorbird import spaces
from tailorbird.errors import RecipeError
from tailorbird.pipeline.accuracy_sources import stitching_inputs
from tailorbird.pipeline.opening import open_recipe
from tailorbird.published.tables import TABLES

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "own"
[space]
{space}
[latency]
runtime = "torch"
rounds = 2
[accuracy]
{accuracy}
train_epochs = 1
stitch_epochs = 1
evaluations = 10
predictor = "ridge"
"""
SPACE = 'module = "users_module:space"'
DATA = 'module = "users_module:good"'


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    users_module.SHARED.clear()
    users_module._SEEN.clear()


def write(space: str = SPACE, accuracy: str = DATA) -> None:
    Path("own.toml").write_text(RECIPE.format(space=space, accuracy=accuracy))


def refusal(tailorbird: Tailorbird, command: str) -> str:
    """The one sentence of a command that refuses what it is given, with nothing done."""
    code, out, err = tailorbird(command, "own.toml")
    assert code == 2, err
    assert not out
    assert err.count("\n") == 1
    assert not list(Path("runs").rglob("*.safetensors"))
    assert not list(Path("runs").rglob("*.sqlite"))
    return err.removeprefix("tailorbird: ").rstrip()


def assert_told(told: str, begin: str, sentence: str) -> None:
    """Asserts that a refusal names its key first, and then the law."""
    assert told.startswith(begin)
    assert re.search(sentence, told), told


MODULES = [
    ('block = "InPlace"', r"must leave its input as it is, but block\(.*of users_module:InPlace"),
    ('block = "Hidden"', r"must leave its input as it is"),
    ('block = "Listed"', r"must give one tensor, but .*Listed gave list"),
    ('head = "TupleHead"', r"must give one tensor, but .*TupleHead gave tuple"),
    ('head = "DictHead"', r"must give tensors of floats, but .*DictHead gave dict"),
    ('head = "OneMore"', r"must give shape \(1, 10\), which the loss takes, but gave \(1, 11\)"),
    ('head = "Column"', r"but gave \(1, 10, 1\)"),
    ('block = "NaNs"', r"must be finite, but some of .*NaNs are not"),
    ('block = "Smaller"', r"must give shape \(1, 2, 8, 8\), which .*Smaller takes"),
    ('block = "Wider"', r"but gave \(1, 4, 8, 8\)"),
    ('block = "Random"', r"the same for the same input in evaluation mode"),
    ('block = "Counting"', r"the same for the same input in evaluation mode"),
    ('block = "Double"', r"Weights must be torch.float32, but 'norm.weight' of .* torch.float64"),
    ('block = "DoubleOut"', r"Outputs must be torch.float32, but .* gave torch.float64"),
    ('block = "Lazy"', r"'conv.weight' of .*Lazy is lazy"),
    ('block = "Extra"', r"'_extra_state' of .*Extra is a dict"),
    ('block = "Opened"', r"fit for copy.deepcopy, but .*Opened is not"),
    ('block = "Raises"', r"Raises does not run \(RuntimeError: no such.*See line \d+ of /"),
    ('block = "Exits"', r"Exits does not run \(SystemExit: 0\)"),
    ('block = "NotBuilt"', r"NotBuilt cannot be built \(TypeError: .*'depth'\)"),
    ('block = "Nowhere"', r"Nowhere cannot be built \(AttributeError"),
    ('block = "no_module"', r"must make a torch.nn.Module, but .*no_module is a int"),
    ('block = "SetsDtype"', r"default dtype must be torch.float32, but was set to torch.float64"),
    ('dtype = "bf16"', r"dtype must be 'f32'.*\[1x1x8x8\]bf16 of users_module:Stem has 'bf16'"),
]


@pytest.mark.parametrize(("setting", "sentence"), MODULES)
@pytest.mark.parametrize("command", ["train", "profile"])
def test_modules_that_cannot_be_measured_or_stitched_are_refused_by_name(
    tailorbird: Tailorbird, command: str, setting: str, sentence: str
) -> None:
    write(f"{SPACE}\n{setting}", DATA if command == "train" else 'module = "no_such:data"')
    assert_told(refusal(tailorbird, command), "[space] module = 'users_module:space'", sentence)


TRAINED = [
    ('block = "SwitchesGradients"', r"must keep gradients, but that was switched off"),
    ('block = "InPlaceInTraining"', r"must leave its input as it is, but block-0-0 \(block\("),
    ('head = "TupleInTraining"', r"must give one tensor, but head-0-0 .*gave tuple"),
    ('block = "NaNsInTraining"', r"must be finite, but some of block-0-0"),
    ('block = "InfiniteGradient"', r"Gradients must be finite, but some of .* are not"),
    ('block = "RaisesInTraining"', r"2 training images, but failed \(RuntimeError: no such"),
    ('block = "Remembers"', r"fit for copy.deepcopy after training, but block-0-1"),
    ('block = "Shares"', r"block-0-0.conv.weight and block-0-1.conv.weight share theirs"),
    ('block = "Expanded"', r"memory of its own, but block-0-0.mask is expanded. Add `.clone\(\)`"),
    ('block = "NoGradients"', r"must get gradients, but none of block-0-1 .*NoGradients\) does"),
    ('head = "DetachingHead"', r"must get gradients, but none of block-0-1"),
]


@pytest.mark.parametrize(("setting", "sentence"), TRAINED)
def test_modules_that_cannot_be_trained_are_refused_by_part(
    tailorbird: Tailorbird, setting: str, sentence: str
) -> None:
    write(f"{SPACE}\n{setting}")
    assert_told(refusal(tailorbird, "run"), "[space] module = 'users_module:space'", sentence)


SPACES = [
    ("widths = [4, 4]", r"Anchors must differ, but in mine numbers 1 and 2, w4 and w4, cost"),
    ('widths = [4, 4]\nnames = ["a", "b"]', r"a and b, cost the same"),
    ('names = ["a/b", "c"]', r"An anchor's name must be .* but mine has 'a/b'"),
    ('names = ["..", "c"]', r"has '\.\.'"),
    ('names = ["", "c"]', r"has ''"),
    ("names = [1, 2]", r"has 1\."),
    ('names = ["a", "A"]', r"names of their own, whatever their case"),
    ('names = ["a > b", "c"]', r"has 'a > b'"),
    ('names = ["a"]', r"anchors a and stages"),
    ("depth = 0", r"a block at least"),
    ("depth = 1000000000", r"1,000 blocks at most, but w2 in mine has 1,000,000,000"),
    (f"widths = {[*range(2, 103)]}", r"100 anchors at most, but mine has 101"),
    ("widths = []", r"an anchor at least"),
]


@pytest.mark.parametrize(("setting", "sentence"), SPACES)
@pytest.mark.parametrize("command", ["run", "profile", "train", "search"])
def test_anchors_that_cannot_be_told_apart_are_refused_by_every_command(
    tailorbird: Tailorbird, command: str, setting: str, sentence: str
) -> None:
    write(f"{SPACE}\n{setting}")
    told = refusal(tailorbird, command)
    assert_told(told, "[space] module = 'users_module:space'", sentence)
    assert "smaller one first" not in told


@pytest.mark.parametrize("command", ["run", "profile", "train", "search"])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("same_size", r"mine w2 and w4 cost the same, [\d,]+ MACs. Leave one of them out"),
        ("shrinking", r"w4 takes .* and w2, behind it, .* Put the smaller one first"),
    ],
)
def test_anchors_that_do_not_grow_are_refused_by_every_command(
    tailorbird: Tailorbird, command: str, name: str, sentence: str
) -> None:
    write(f'module = "users_module:{name}"')
    assert re.search(sentence, refusal(tailorbird, command))


MEMBERS = [
    ("few", r"`sample\(8, rng\)` .* must be 8 rows, but gave 1"),
    ("floats", r"`sample\(8, rng\)` .* int64, one at least, but gave float64 of shape \(8, 2\)"),
    ("choices", r"indices into the choices"),
    ("chance", r"the same rows with generators that are equal"),
    ("noncanonical", r"canonical rows"),
    ("describe", r"`describe\(row\)` .* must be a text, but gave 7"),
    ("counts", r"integers from 0 on.* from -"),
    ("share", r"integers from 0 on.*float64"),
    ("dense", r"a sparse array of shape"),
    ("size", r"`size` .* a positive integer, but gave -3"),
    ("none", r"a positive integer, but gave None"),
    ("huge", r"`size` .* at most"),
    ("texts", r"`variables` .* a tuple of `Variable`s"),
    ("listed", r"`variables` .* a tuple of `Variable`s"),
]


@pytest.mark.parametrize(("member", "sentence"), MEMBERS)
def test_a_space_that_breaks_its_contract_is_refused_by_member(
    tailorbird: Tailorbird, member: str, sentence: str
) -> None:
    write(f'module = "users_module:wrong"\nmember = "{member}"')
    assert_told(refusal(tailorbird, "profile"), "[space] module = 'users_module:wrong'", sentence)


@pytest.mark.parametrize("setting", ["leave = 2", "leave = -1", "enter = 2", "target = 0"])
def test_stitches_that_lead_nowhere_are_refused(tailorbird: Tailorbird, setting: str) -> None:
    write(f'module = "users_module:stitched"\n{setting}')
    told = refusal(tailorbird, "profile")
    assert "A rule's stitches must each lead from a block of one anchor" in told


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no_space", r"must give a search space, but NoneType has no 'name'"),
        ("four_images", r"\[device\] batch = 1 at once, but those of mine.* take 4"),
        ("good", r"refused \{'batch': 1\} \(TypeError"),
    ],
)
def test_what_is_no_space_of_this_recipe_is_refused(
    tailorbird: Tailorbird, name: str, sentence: str
) -> None:
    write(f'module = "users_module:{name}"')
    assert re.search(sentence, refusal(tailorbird, "run"))


def test_a_workload_of_other_types_is_refused(tailorbird: Tailorbird) -> None:
    write('module = "users_module:listed_params"')
    told = refusal(tailorbird, "profile")
    assert "`params` must be a tuple of pairs of a name and a finite number" in told


DATA_SETS = [
    ("column", r"Labels must have shape \(n,\), .* have \(61, 1\). .*reshape"),
    ("one_hot", r"Labels must have shape \(n,\), .* have \(61, 10\). .*argmax"),
    ("from_one", r"from 0 to n_classes - 1 = 9, but .*train.* go from 1 to 10"),
    ("negative", r"go from -1 to 8"),
    ("float_labels", r"Labels must be int64.* but are float32"),
    ("objects", r"Images must be float32, but are object"),
    ("float64", r"Images must be float32, but are float64"),
    ("uint8", r"Images must be float32, but are uint8"),
    ("fewer_labels", r"there are 120 images and 119 labels"),
    ("empty", r"an image at least"),
    ("nan", r"must be finite, but image 4 of the validation split of 'mine'"),
    ("last_channel", r"shape \(8, 8, 1\), and the space takes \(1, 8, 8\)"),
    ("no_channel", r"shape \(8, 8\), and the space takes"),
    ("flat_images", r"must have shape \(n, channels, height, width\), but have \(61,\)"),
    ("no_split", r"test split must be a Split"),
    ("pair", r"must give a tailorbird.training.Dataset, but gave tuple"),
    ("untold", r"name must be a text of at most 200 characters, but got 7"),
    ("misnamed", r"class_names must be a tuple of n_classes = 10 texts, or empty, but got \('one'"),
    ("aug_signature", r"`augment` must take images and a torch.Generator, but it failed \(TypeErr"),
    ("aug_shape", r"`augment` must give shape \(2, 1, 8, 8\).* gave \(2, 1, 7, 8\)"),
    ("aug_many", r"`augment` must give shape \(50, 1, 8, 8\).* gave \(49, 1, 8, 8\)"),
    ("aug_dtype", r"but the data's `augment` gave torch.float64"),
    ("aug_none", r"but the data's `augment` gave NoneType"),
    ("aug_array", r"but the data's `augment` gave ndarray"),
    ("aug_nan", r"must be finite, but some of the data's `augment`"),
    ("masked", r"Images must be whole, but some are masked"),
    ("doubles", r"default dtype must be torch.float32, but was set to torch.float64"),
    ("aug_rarely", r"must do the same again"),
    ("aug_chance", r"must do the same again"),
    ("aug_data", r"must leave the data set as it is"),
    ("aug_text", r"must be a function of images and a torch.Generator, but got str"),
]


@pytest.mark.parametrize(("name", "sentence"), DATA_SETS)
def test_data_that_cannot_be_trained_on_are_refused_by_key(
    tailorbird: Tailorbird, name: str, sentence: str
) -> None:
    write(accuracy=f'module = "users_module:{name}"')
    told = refusal(tailorbird, "run")
    assert "training" in told or told.startswith("[accuracy] module = ")
    assert re.search(sentence, told), told


SCORES = [
    ("score_percent", r"between 0 and 1, but the evaluator gave 100.0. Divide per cents by 100"),
    ("score_nan", r"between 0 and 1, but the evaluator gave nan"),
    ("score_constant", r"higher for right answers .* right it is 0.5, .* wrong 0.5"),
    ("score_error", r"right it is 0, .* wrong 1. Of an error, give 1 minus it"),
    ("score_loss", r"between 0 and 1, but the evaluator gave 2\."),
    ("score_none", r"one number, but the evaluator gave NoneType"),
    ("score_text", r"one number, but the evaluator gave str"),
    ("score_each", r"one number, but the evaluator gave ndarray"),
    ("score_pair", r"one number, but the evaluator gave tuple"),
    ("score_three", r"outputs \(29, 10\) and labels \(29,\).* failed \(TypeError: .*'images'\)"),
    ("score_bold", r"but it failed \(ValueError: nothing is sure\)"),
    ("score_method", r"failed \(AttributeError: .*'float'\)\. See line"),
    ("score_chance", r"the same for the same outputs"),
    ("score_running", r"the same for the same outputs.* keep nothing from one call to the next"),
    ("score_changes", r"must leave labels as they are"),
]


@pytest.mark.parametrize(("name", "sentence"), SCORES)
@pytest.mark.parametrize("command", ["train", "search"])
def test_evaluators_that_say_nothing_are_refused_by_key(
    tailorbird: Tailorbird, command: str, name: str, sentence: str
) -> None:
    write(accuracy=f'{DATA}\nevaluator = "users_module:{name}"')
    key = f"[accuracy] evaluator = 'users_module:{name}'"
    assert_told(refusal(tailorbird, command), key, sentence)


OFF = "learning_rates = { embedding = 0.0, block = 0.0, stitch = 0.0 }"
TEACHERS = [
    ("teacher_wrong", r"The teacher must give shape \(2, 10\).* gave \(2, 3\)"),
    ("teacher_pair", r"one tensor, but the teacher gave tuple"),
    ("teacher_nan", r"finite, but some of the teacher"),
    ("teacher_double", r"A teacher must take images, but it failed \(RuntimeError"),
    ("teacher_doubles", r"must be torch.float32, but the teacher gave torch.float64"),
    ("teacher_without_gradients", r"must keep gradients, but that was switched off"),
    ("teacher_in_place", r"must leave its input as it is, but the teacher works in place"),
]


@pytest.mark.parametrize(("name", "sentence"), TEACHERS)
def test_teachers_that_give_no_logits_are_refused_by_key(
    tailorbird: Tailorbird, name: str, sentence: str
) -> None:
    write(accuracy=f'{DATA}\nteacher = "users_module:{name}"')
    key = f"[accuracy] teacher = 'users_module:{name}'"
    assert_told(refusal(tailorbird, "train"), key, sentence)


@pytest.mark.parametrize(
    ("space", "accuracy"),
    [
        ("", 'module = "users_module:tensors"\nbatch = 20'),
        ("", 'module = "users_module:small_integers"\nteacher = "users_module:teacher"'),
        ("", 'module = "users_module:lists"\nevaluator = "users_module:score_stable"'),
        ("", 'module = "users_module:aug_fine"\nevaluator = "users_module:score_tensor"'),
        ("", 'module = "users_module:aug_in_place"\nevaluator = "users_module:score"'),
        ('block = "Squeezed"', f"{DATA}\nbatch = 20"),
        ('block = "Squeezed"', f"{DATA}\nbatch = 60"),
        ("", 'module = "users_module:unmasked"'),
        ("", 'module = "users_module:high_digits"\nevaluator = "users_module:score_near"'),
        ('block = "Frozen"', DATA),
        ('block = "LeftOut"', DATA),
        ('block = "Tied"', DATA),
        ('block = "Alias"', DATA),
        ('block = "Prints"', DATA),
        ('block = "NoGradients"', f"{DATA}\n{OFF}"),
    ],
)
def test_what_is_right_trains(tailorbird: Tailorbird, space: str, accuracy: str) -> None:
    write(f"{SPACE}\n{space}", accuracy)
    code, out, err = tailorbird("train", "own.toml")
    assert code == 0, err
    assert re.fullmatch(r"Weights \w{12} are in runs/own/weights\.\n", out)


def test_images_whose_gradients_are_too_large_are_refused_before_training(
    tailorbird: Tailorbird,
) -> None:
    write(accuracy='module = "users_module:too_bright"')
    assert re.search(r"Gradients must be finite.*not scaled", refusal(tailorbird, "run"))


@pytest.mark.parametrize("block", ["Tied", "Alias"])
def test_weights_that_layers_of_a_block_share_are_kept_and_loaded(
    tailorbird: Tailorbird, block: str
) -> None:
    write(f'{SPACE}\nblock = "{block}"')
    assert tailorbird("train", "own.toml")[0] == 0
    accuracy: Any = open_recipe(Path("own.toml")).accuracy
    small = accuracy.network(accuracy.space.landmarks[0])[1]
    again = small.again if block == "Tied" else small.layers[2]
    assert again.weight is small.conv.weight


def test_only_what_a_command_uses_is_asked_for(tailorbird: Tailorbird) -> None:
    """A table is measured though the data are not there yet."""
    write(accuracy='module = "no_such:data"')
    run = open_recipe(Path("own.toml"))
    run.check_modules()
    with pytest.raises(RecipeError, match="no_such"):
        run.check()


def test_what_was_trained_is_not_tried_again(
    tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    assert tailorbird("train", "own.toml")[0] == 0
    monkeypatch.setattr(stitching_inputs, "check_networks", None)  # would fail if it were called
    assert tailorbird("train", "own.toml")[0] == 0
    write(accuracy=f'{DATA}\nevaluator = "users_module:score_nan"')  # decides no weights
    code, _, err = tailorbird("train", "own.toml")
    assert code == 2
    assert "the evaluator gave nan" in err


@pytest.mark.parametrize("key", ["workers = 2", "evaluation_timeout_seconds = 60.0"])
def test_what_cannot_reach_workers_is_refused_before_training(
    tailorbird: Tailorbird, key: str
) -> None:
    write('module = "users_module:local_family"', f"{DATA}\n{key}")
    told = refusal(tailorbird, "run")
    assert "must be picklable to reach [accuracy] workers" in told
    assert "Local" in told


PUBLISHED = """
import sys
from pathlib import Path
from tailorbird.pipeline.opening import open_recipe
run = open_recipe(Path("published.toml"))
run.check()
assert run.accuracy.n_validation()
assert "torch" not in sys.modules
"""


def test_published_accuracies_load_no_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = spaces.get("nasbench201")
    rows = space.repair(space.sample(5, np.random.default_rng(0)))
    columns = {variable.name: rows[:, i] for i, variable in enumerate(space.variables)}
    table = pd.DataFrame({**columns, "c10_val_12ep": np.linspace(80, 90, 5)})
    table.to_parquet(tmp_path / TABLES["nasbench201"].file)
    monkeypatch.setenv("TAILORBIRD_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("published.toml").write_text(
        'name = "p"\n[space]\nname = "nasbench201"\n[device]\nname = "phone"\n'
        '[latency]\nruntime = "imported"\n[accuracy]\npublished = "c10_val_12ep"\n'
    )
    subprocess.run([sys.executable, "-c", PUBLISHED], check=True)


FORKS = """
import os
def data():
    os.fork()
    raise ValueError("after the fork")
"""


@pytest.mark.long
def test_a_process_that_users_fork_does_not_go_on_with_our_work(tmp_path: Path) -> None:
    (tmp_path / "forks.py").write_text(FORKS)
    text = RECIPE.format(space='name = "digits-resnet"', accuracy='module = "forks:data"')
    (tmp_path / "own.toml").write_text(text)
    command = [sys.executable, "-m", "tailorbird", "train", "own.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("after the fork") == 1
