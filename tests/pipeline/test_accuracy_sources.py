"""What recipes say of spaces, data and weights, and a user's own code beside them."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from arrays import arrays
from safetensors.torch import save_file

from tailorbird.errors import (
    EncodingError,
    EvaluationError,
    MissingStepError,
    RecipeError,
    TailorbirdError,
    WeightsError,
)
from tailorbird.pipeline.accuracy_sources.published import PublishedAccuracy
from tailorbird.pipeline.accuracy_sources.trained import TrainedAccuracy
from tailorbird.pipeline.opening import open_recipe
from tailorbird.predictors import Prediction
from tailorbird.progress import NoProgress
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.stitching import StitchSpace

OWN = '''
import numpy as np
from torch import nn

from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.training import Dataset, Split


class Placed(DigitsResNet):
    """Knows where weights go."""

    def place(self, anchor, name):
        from tailorbird.spaces.stitching import Part

        part, _, inner = name.partition("/")
        kind, _, index = part.partition("-")
        return Part(kind, anchor, int(index or 0)), inner


def space(batch, depth=2):
    family = DigitsResNet(batch, (2, 4), depth, n_classes=3, name="own")
    return StitchSpace(family, Windows(2, 1), max_stitches=1)


def placed(batch):
    family = Placed(batch, (2, 4), 2, n_classes=3, name="placed")
    return StitchSpace(family, Windows(2, 1), max_stitches=1)


def data(classes=3, side=8):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % classes
    images = rng.normal(size=(60, 1, side, side)).astype(np.float32) + labels[:, None, None, None]
    images = images.astype(np.float32)
    split = Split(images, labels)
    return Dataset("own-data", classes, split, split, split)


def other_classes():
    return data(classes=2)


def other_shape():
    return data(side=9)


def labels_out_of_range():
    split = data().train
    return Dataset("wrong", 2, split, split, split)


def no_data():
    return 7


def unsure(outputs, labels):
    """Half of the accuracy, so that it is told from it."""
    return float((outputs.argmax(axis=1) == labels).mean()) / 2


def picky(outputs, labels):
    """Refuses every network that finds the first image hard."""
    if outputs[0].argmax() != labels[0]:
        raise RuntimeError("too hard")
    return float((outputs.argmax(axis=1) == labels).mean())


def same(outputs, labels):
    """Tells right from wrong where networks are sure, and they never are after one epoch."""
    return 0.5 if outputs.max() < 7 else float((outputs.argmax(axis=1) == labels).mean())


def impossible(outputs, labels):
    return float("nan")


def teacher():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


def no_teacher():
    return "I teach nothing"


CONSTANT = 7
'''
RECIPE = """
name = "own"
[space]
{space}
[accuracy]
train_epochs = 1
stitch_epochs = 1
{accuracy}
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A user's own module beside the recipe, in a folder that Python does not look into."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "own_parts.py").write_text(OWN)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield "own_parts"
    sys.modules.pop("own_parts", None)


def opened(tmp_path: Path, space: str, accuracy: str = "") -> TrainedAccuracy:
    path = tmp_path / "home" / "recipe.toml"
    path.write_text(RECIPE.format(space=space, accuracy=accuracy))
    source = open_recipe(path).accuracy
    assert isinstance(source, TrainedAccuracy)
    return source


SPACE = 'module = "own_parts:space"'
DATA = 'module = "own_parts:data"'


def test_a_users_own_space_data_evaluator_and_teacher_are_used(tmp_path: Path, module: str) -> None:
    plain = opened(tmp_path, SPACE, DATA)
    with pytest.raises(MissingStepError, match="tailorbird train"):
        _ = plain.trained()
    before = plain.train(NoProgress()).fingerprint
    assert plain.trained().fingerprint == before
    own = opened(
        tmp_path,
        SPACE,
        DATA + '\nevaluator = "own_parts:unsure"\nteacher = "own_parts:teacher"',
    )
    own.check(NoProgress())
    assert own.dataset().name == "own-data"
    assert isinstance(own.space, StitchSpace)
    assert own.space.name == "own(kernel=2,stride=1,max_stitches=1)"
    trained = own.train(NoProgress())
    assert trained.fingerprint != before  # another teacher
    assert own.trained().fingerprint == trained.fingerprint
    X = own.space.landmarks
    split = own.dataset().test
    with torch.inference_mode():
        answers = [
            trained.extract(row)(torch.from_numpy(arrays(split).images)).argmax(1) for row in X
        ]
    right = [np.mean(answer.numpy() == split.labels) for answer in answers]
    np.testing.assert_allclose(trained.evaluate(X, split), np.array(right) / 2)


def test_settings_of_a_users_own_space_come_from_the_recipe(tmp_path: Path, module: str) -> None:
    deep = opened(tmp_path, SPACE + "\ndepth = 5", DATA).space
    assert isinstance(deep, StitchSpace)
    assert deep.depths == (5, 5)
    with pytest.raises(RecipeError, match=r"refused .*'width': 5"):
        opened(tmp_path, SPACE + "\nwidth = 5", DATA)


@pytest.mark.parametrize(
    ("space", "accuracy", "error"),
    [
        ('module = "own_parts:spaces"', DATA, r"\[space\] module = 'own_parts:spaces'"),
        ('module = "own_part:space"', DATA, r"\[space\] module .*No module named 'own_part'"),
        ('module = "own_parts:CONSTANT"', DATA, "must name what can be called"),
        ('module = "own_parts:no_teacher"', DATA, "refused"),
        ('module = "own_parts"', DATA, r"\[space\] module"),
        ('module = "own_parts:space"\nname = "digits-resnet"', DATA, "name or a module"),
        ("", DATA, "name or a module"),
        (SPACE, 'module = "own_parts:datum"', r"\[accuracy\] module = 'own_parts:datum'"),
        (SPACE, 'module = "own_parts:no_data"', "must give a .*Dataset, but gave int"),
        (SPACE, 'module = "own_parts:other_classes"', "'own-data' has n_classes = 2, and own has"),
        (SPACE, 'module = "own_parts:other_shape"', r"shape \(1, 9, 9\)"),
        (SPACE, 'module = "own_parts:labels_out_of_range"', "from 0 to 2"),
        (SPACE, DATA + '\nevaluator = "own_parts:sure"', r"\[accuracy\] evaluator"),
        (SPACE, DATA + '\nteacher = "own_parts:teach"', r"\[accuracy\] teacher"),
        (SPACE, DATA + '\ndata = "digits"', "data and module, not both"),
        (SPACE, DATA + '\npublished = "snnet"', "module and published, not both"),
        (SPACE, 'data = "digits"\npublished = "snnet"', "data and published, not both"),
        (SPACE, 'published = "snnet"', "nothing is trained: drop"),
        (SPACE, DATA + '\nanchors.w2 = "x"', "own cannot take weights from files"),
        (SPACE, DATA + '\nanchors.w3 = "x"', "no anchor 'w3' in own; known: w2, w4"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_measured(
    tmp_path: Path, module: str, space: str, accuracy: str, error: str
) -> None:
    with pytest.raises(RecipeError, match=error):
        opened(tmp_path, space, accuracy).check(NoProgress())


def test_a_teacher_that_is_no_network_is_refused(tmp_path: Path, module: str) -> None:
    source = opened(tmp_path, SPACE, DATA + '\nteacher = "own_parts:no_teacher"')
    with pytest.raises(RecipeError, match=r"\[accuracy\] teacher .* gave str"):
        source.train(NoProgress())


def test_anchors_start_with_weights_from_files(tmp_path: Path, module: str) -> None:
    space = 'module = "own_parts:placed"'
    files = 'anchors = { w2 = "w2.safetensors", w4 = "w4.safetensors" }'
    with pytest.raises(WeightsError, match=r"w2\.safetensors"):
        opened(tmp_path, space, f"{DATA}\n{files}").check(NoProgress())
    network = opened(tmp_path, space, DATA).train(NoProgress()).network
    for anchor in (0, 1):
        state = {
            f"{kind}-{index}/{inner}": tensor
            for name, tensor in network.state_dict().items()
            for _, part, inner in [name.split(".", 2)]
            for kind, of, index in [part.split("-")[:3]]
            if kind != "stitch" and of == str(anchor)
        }
        save_file(state, tmp_path / "home" / f"w{2 << anchor}.safetensors")
    rates = "learning_rates = { embedding = 0.0, block = 0.0, head = 0.0 }"
    placed = opened(tmp_path, space, f"{DATA}\n{files}\n{rates}").train(NoProgress()).network
    before = network.state_dict()
    for name, parameter in placed.named_parameters():
        if "stitch" not in name:
            assert torch.equal(parameter, before[name])


def test_no_training_of_anchors_asks_for_all_of_their_weights(tmp_path: Path, module: str) -> None:
    path = tmp_path / "home" / "recipe.toml"
    text = RECIPE.format(space=SPACE, accuracy=DATA).replace("train_epochs = 1", "train_epochs = 0")
    path.write_text(text)
    with pytest.raises(RecipeError, match="w2 has neither"):
        open_recipe(path).accuracy.check(NoProgress())


@dataclass(frozen=True)
class Rising:
    """A cost that tells networks apart."""

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.zeros(len(X)))

    def mean(self, X: IntArray) -> FloatArray:
        return np.asarray(1.0 + X.sum(axis=1))


DEEP = SPACE + "\ndepth = 5"
TRAINED = DATA + "\nevaluations = 12"


@pytest.mark.long
def test_what_cannot_be_evaluated_is_left_out_and_told(tmp_path: Path, module: str) -> None:
    source = opened(tmp_path, DEEP, TRAINED + '\nevaluator = "own_parts:picky"')
    assert source.train(NoProgress())
    X = np.vstack(list(source.space.enumerate()))
    y = source.validation(X, NoProgress())
    failed = np.isnan(y)
    assert 0 < failed.sum() < len(y) - 5
    (remark,) = source.remarks()
    first = source.space.describe(X[failed][0])
    assert remark == (
        f"{failed.sum()} networks could not be evaluated on validation images (first: {first}: "
        "RuntimeError: too hard)."
    )
    fitted = source.predictor(Rising(), NoProgress())
    assert np.isfinite(fitted.mean(X)).all()

    hopeless = opened(tmp_path, DEEP, TRAINED + '\nevaluator = "own_parts:impossible"')
    with pytest.raises(EvaluationError, match=r"At least 5 .* only 0 could be\. .*gave nan"):
        hopeless.predictor(Rising(), NoProgress())
    alike = opened(tmp_path, DEEP, TRAINED + '\nevaluator = "own_parts:same"')
    with pytest.raises(EvaluationError, match=r"but all \d+ that were evaluated have 0\.5\. Take"):
        alike.predictor(Rising(), NoProgress())


def test_an_owner_that_is_no_file_is_refused_and_one_that_is_no_text_is_a_name(
    tmp_path: Path, module: str
) -> None:
    source = opened(tmp_path, DEEP, TRAINED)
    source.train(NoProgress())
    owner = source.weights.parent / "owner"
    os.mkfifo(owner)
    with pytest.raises(RecipeError, match="owner of a run's trials must be a plain file, but"):
        source.validation(source.space.landmarks, NoProgress())
    owner.unlink()
    owner.write_bytes(b"\xff\0")
    assert np.isfinite(source.validation(source.space.landmarks, NoProgress())).all()


@pytest.mark.long
def test_earlier_evaluations_are_learned_from_and_not_repeated(tmp_path: Path, module: str) -> None:
    with pytest.raises(EncodingError, match=r"^\[accuracy\] earlier: .*earlier\.csv.*No such file"):
        opened(tmp_path, DEEP, TRAINED + '\nearlier = "earlier.csv"')
    source = opened(tmp_path, DEEP, TRAINED)
    X = np.vstack(list(source.space.enumerate()))
    columns = {variable.name: X[:, i] for i, variable in enumerate(source.space.variables)}
    y = np.linspace(0.1, 0.9, len(X))
    pd.DataFrame({**columns, "accuracy": y}).to_csv(tmp_path / "home/earlier.csv", index=False)
    source = opened(tmp_path, DEEP, TRAINED + '\nearlier = "earlier.csv"')
    source.check(NoProgress())
    source.train(NoProgress())
    np.testing.assert_array_equal(source.validation(X, NoProgress()), y)
    assert (source.test(X, NoProgress()) != y).any()  # they say nothing of other images
    fitted = source.predictor(Rising(), NoProgress())
    assert np.corrcoef(fitted.mean(X), y)[0, 1] > 0.9  # more rows than `evaluations`


@pytest.mark.parametrize(
    "how",
    ["evaluation_timeout_seconds = 60.0", pytest.param("workers = 2", marks=pytest.mark.slow)],
)
@pytest.mark.long
def test_workers_load_the_users_own_and_give_the_same(
    tmp_path: Path, module: str, how: str
) -> None:
    here = opened(tmp_path, DEEP, TRAINED + '\nevaluator = "own_parts:picky"')
    here.train(NoProgress())
    X = np.vstack(list(here.space.enumerate()))
    expected = here.validation(X, NoProgress())
    (tmp_path / "elsewhere/runs/own/store.sqlite").unlink()
    there = opened(tmp_path, DEEP, TRAINED + f'\nevaluator = "own_parts:picky"\n{how}')
    np.testing.assert_array_equal(there.validation(X, NoProgress()), expected)
    assert there.remarks() == here.remarks()


@pytest.mark.data("snnet_stitches.csv.gz")
def test_published_accuracies_are_those_of_the_recipes_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "recipe.toml"
    text = 'name = "p"\n[space]\nname = "{}"\n[accuracy]\npublished = "snnet"\n'
    path.write_text(text.format("deit-ti-s-b"))
    source = open_recipe(path).accuracy
    assert isinstance(source, PublishedAccuracy)
    source.check(NoProgress())
    X = source.space.landmarks
    values = source.validation(X, NoProgress())
    assert (np.diff(values) > 0).all()
    np.testing.assert_array_equal(values, source.test(X, NoProgress()))
    path.write_text(text.format("digits-resnet"))
    with pytest.raises(TailorbirdError, match="Nothing is published for 'digits-resnet'"):
        open_recipe(path).accuracy.check(NoProgress())
