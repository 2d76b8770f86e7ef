"""Anchors that start from files of others, through the command line."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from tailorbird.spaces.stitching import Part
from tailorbird.spaces.stitching.families.cifar_resnet import CifarResNet

Command = Callable[..., tuple[int, str, str]]
State = dict[str, Tensor]

FAMILY = CifarResNet(1, ("a", "b"), ((1, 1, 1), (2, 2, 2)), (4, 8, 16), n_classes=3, name="own")
OWN = """
import numpy as np

from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.cifar_resnet import CifarResNet
from tailorbird.training import Dataset, Split


def space(batch, n_classes=3):
    stages = ((1, 1, 1), (2, 2, 2))
    family = CifarResNet(batch, ("a", "b"), stages, (4, 8, 16), n_classes, "own")
    return StitchSpace(family, Windows(2, 1), max_stitches=1)


def data():
    labels = np.arange(24) % 3
    images = np.random.default_rng(0).normal(size=(24, 3, 32, 32)).astype(np.float32)
    split = Split(images, labels)
    return Dataset("noise", 3, split, split, split)
"""
RECIPE = """
name = "own"
[space]
module = "own_anchors:space"
[accuracy]
module = "own_anchors:data"
stitch_epochs = 0
{keys}
[accuracy.anchors]
a = {a}
b = "b.pth"
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a user's own module and weights of two anchors."""
    (tmp_path / "own_anchors.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for anchor, name in enumerate(FAMILY.anchors):
        torch.save(state(anchor), tmp_path / f"{name}.pth")
    yield tmp_path
    sys.modules.pop("own_anchors", None)


def state(anchor: int, n_classes: int = 3) -> State:
    """An anchor's own weights, none of them what it is drawn with."""
    torch.manual_seed(anchor)
    blocks = (Part("block", anchor, i) for i in range(sum(FAMILY.stages[anchor])))
    weights = {
        FAMILY.name_of(part, inner): torch.rand_like(tensor.float())
        for part in (Part("embedding", anchor), *blocks, Part("head", anchor))
        for inner, tensor in FAMILY.workload(part).build().state_dict().items()
        if not inner.endswith("num_batches_tracked")
    }
    head = {"linear.weight": torch.rand(n_classes, 16), "linear.bias": torch.rand(n_classes)}
    return weights | head


def train(tailorbird: Command, folder: Path, a: str = '"a.pth"', keys: str = "") -> tuple[int, str]:
    (folder / "own.toml").write_text(RECIPE.format(a=a, keys=keys))
    code, _, said = tailorbird("train", "own.toml")
    return code, said.replace("\n", " ")


def trained(folder: Path) -> State:
    """The weights of the first anchor, as they were trained."""
    return load_file(folder / "runs" / "own" / "weights" / "anchor-a.safetensors")


def test_averaged_weights_are_taken_unless_a_key_says_otherwise(
    tailorbird: Command, own: Path
) -> None:
    last = {name: tensor + 1 for name, tensor in state(0).items()}
    torch.save({"state_dict": last, "state_dict_ema": state(0)}, own / "a.pth")
    code, said = train(tailorbird, own)
    assert code == 0
    sentence = "'a.pth' those under 'state_dict_ema' are taken, not 'state_dict'"
    assert said.count(sentence) == 1
    assert sentence in (own / "runs" / "own" / "run.log").read_text()
    name = "parts.block-0-1.conv1.weight"
    assert torch.equal(trained(own)[name], state(0)["layer2.0.conv1.weight"])

    code, said = train(tailorbird, own, '{ file = "a.pth", key = "state_dict" }')
    assert code == 0
    assert "are taken" not in said
    assert torch.equal(trained(own)[name], last["layer2.0.conv1.weight"])  # not those of before

    code, said = train(tailorbird, own, '{ file = "a.pth", key = "state_dikt" }')
    assert code == 2
    assert "did you mean 'state_dict'?" in said

    torch.save({"student": last, "teacher": state(0)}, own / "a.pth")
    code, said = train(tailorbird, own)
    assert code == 2
    assert (
        'such as \'student\'. In [accuracy.anchors]: { file = "a.pth", key = "student" }.' in said
    )


def test_weights_of_today_stay_valid(tailorbird: Command, own: Path) -> None:
    """What decides an anchor is written as it was when `state_dict` was always taken."""
    assert train(tailorbird, own)[0] == 0
    path = own / "runs" / "own" / "weights" / "anchor-a.safetensors"
    with safe_open(path, framework="pt") as file:
        identity = file.metadata()["identity"]
    import hashlib
    import json

    assert json.loads(identity) == {
        "rules": "stitch-2",
        "name": "own",
        "dataset": json.loads(identity)["dataset"],
        "anchor": "a",
        "epochs": 0,
        "seed": 0,
        "batch": 50,
        "learning_rates": {"embedding": 2e-2, "block": 2e-2, "head": 2e-2},
        "weights": hashlib.sha256((own / "a.pth").read_bytes()).hexdigest(),
    }


def test_published_anchors_start_a_family_of_other_classes(tailorbird: Command, own: Path) -> None:
    """Blocks are taken, and the head learns, unless the recipe forbids it."""
    torch.save(state(0, n_classes=1000), own / "a.pth")
    for law in ("train_epochs", "learning_rates.head"):
        code, said = train(tailorbird, own, keys=f"{law} = 0{'.0' * ('rates' in law)}")
        assert code == 2
        assert (
            f"`{law}` must be above 0, since the head of a is drawn anew (that in 'a.pth'" in said
        )
        assert not (own / "runs" / "own" / "weights").exists()
    rates = "learning_rates = { embedding = 0.0, block = 0.0 }"
    code, said = train(tailorbird, own, keys=rates)
    assert code == 0
    assert (
        "The head of a for 3 classes is drawn anew, since that in 'a.pth' is for 1,000; the anchor "
        "learns, with train_epochs = 30." in said
    )
    assert "head of b" not in said
    after = trained(own)
    assert torch.equal(after["parts.block-0-1.conv1.weight"], state(0)["layer2.0.conv1.weight"])
    assert after["parts.head-0-0.linear.weight"].shape == (3, 16)
    assert after["parts.head-0-0.linear.bias"].abs().max() < 1  # of neither file

    headless = {name: t for name, t in state(0).items() if not name.startswith("linear")}
    torch.save(headless, own / "a.pth")
    code, said = train(tailorbird, own, keys=f"train_epochs = 1\n{rates}")
    assert code == 0
    assert (
        "is drawn anew, since 'a.pth' holds none; the anchor learns, with train_epochs = 1." in said
    )


def test_a_forgotten_anchor_is_not_trained_from_scratch_because_of_a_head(
    tailorbird: Command, own: Path
) -> None:
    torch.save(state(0, n_classes=1000), own / "a.pth")
    (own / "own.toml").write_text(RECIPE.format(a='"a.pth"', keys="").replace('b = "b.pth"', ""))
    code, _, said = tailorbird("train", "own.toml")
    assert code == 2
    assert "but b has neither" in said


def test_a_search_tells_what_became_of_the_files_as_well(tailorbird: Command, own: Path) -> None:
    from tailorbird.pipeline.opening import open_recipe

    torch.save({**state(0, n_classes=1000), "total_ops": torch.zeros(1)}, own / "a.pth")
    assert train(tailorbird, own, keys="train_epochs = 1")[0] == 0
    remarks = open_recipe(own / "own.toml").accuracy.remarks()
    assert len(remarks) == 2
    assert "1 tensor of" in remarks[0]
    assert "as no weights: 'total_ops'" in remarks[0]
    assert "head of a for 3 classes" in remarks[1]


@pytest.mark.parametrize(
    ("anchors", "expected"),
    [
        ("[accuracy]\nanchors = 'instaled'", "or 'installed', but got 'instaled'"),
        ("[accuracy]\nanchors = 3", "a table with a file for each anchor"),
        ("[accuracy.anchors]\na = { fiel = 'x' }", "no key 'fiel' in [accuracy.anchors] a, which"),
        ("[accuracy.anchors]\na = { key = 'x' }", "the key 'file' in [accuracy.anchors] a is miss"),
        ("[accuracy.anchors]\na = { file = 'x', key = 3 }", "a key of that file as key, but got 3"),
        ("[accuracy.anchors]\na = ['x']", "must have a path as file, but got ['x']"),
        ("[accuracy.anchors]\na = ''", "must have a path as file, but got ''"),
    ],
)
def test_what_names_no_file_is_refused(
    tailorbird: Command, own: Path, anchors: str, expected: str
) -> None:
    text = f'name = "x"\n[space]\nname = "digits-resnet"\n{anchors}\n'
    (own / "x.toml").write_text(text)
    code, _, said = tailorbird("train", "x.toml")
    assert code == 2
    assert expected in said
