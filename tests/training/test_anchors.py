import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tailorbird.data_folder import data_folder
from tailorbird.errors import WeightsError
from tailorbird.progress import NoProgress
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.cifar_resnet import CifarResNet
from tailorbird.training import Dataset, Split, Training, anchors, train
from tailorbird.training.network import StitchedNetwork

FAMILY = CifarResNet(2, ("small", "large"), ((1, 1, 1), (2, 2, 2)), (4, 8, 16))
LARGE = 1
State = dict[str, Tensor]


@pytest.fixture
def network() -> StitchedNetwork:
    torch.manual_seed(0)
    return StitchedNetwork(StitchSpace(FAMILY, Windows(2, 1), max_stitches=1))


@pytest.fixture
def state() -> State:
    """An anchor's own weights, by the names that its authors gave them."""
    torch.manual_seed(1)
    shapes = {
        "conv1.weight": (4, 3, 3, 3),
        "linear.weight": (10, 16),
        "linear.bias": (10,),
        **_norm("bn1", 4),
    }
    width = 4
    for stage, to in enumerate((4, 8, 16), start=1):
        for i in range(2):
            block = f"layer{stage}.{i}"
            shapes[f"{block}.conv1.weight"] = (to, width, 3, 3)
            shapes[f"{block}.conv2.weight"] = (to, to, 3, 3)
            shapes |= _norm(f"{block}.bn1", to) | _norm(f"{block}.bn2", to)
            width = to
    return {name: torch.rand(shape) for name, shape in shapes.items()}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    kinds = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{kind}": (width,) for kind in kinds}


def bare(state: State, path: Path) -> None:
    torch.save(state, path)


def safetensors(state: State, path: Path) -> None:
    save_file(state, path)


def parallel(state: State, path: Path) -> None:
    """As DataParallel names its weights, with what else a training loop saves."""
    wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save({"state_dict": wrapped, "epoch": 7, "best": 0.9}, path)


def wrapped(state: State, path: Path) -> None:
    torch.save({"model": state}, path)


@pytest.mark.parametrize(
    ("save", "name"),
    [
        (bare, "w.pth"),
        (safetensors, "w.safetensors"),
        (parallel, "w.th"),
        (wrapped, "w.pt"),
    ],
)
def test_weights_go_where_their_names_say(
    network: StitchedNetwork,
    state: State,
    tmp_path: Path,
    save: Callable[[State, Path], None],
    name: str,
) -> None:
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    save(state, tmp_path / name)
    anchors.place(network, FAMILY, LARGE, tmp_path / name)
    after = network.state_dict()
    for key, part in [
        ("conv1.weight", "embedding-1-0.conv1.weight"),
        ("bn1.running_var", "embedding-1-0.bn1.running_var"),
        ("layer1.1.conv2.weight", "block-1-1.conv2.weight"),
        ("layer3.0.bn1.bias", "block-1-4.bn1.bias"),
        ("linear.bias", "head-1-0.bias"),
    ]:
        found = [k for k in after if k.startswith("parts." + part.partition(".")[0] + ".")]
        place = next(k for k in found if k.endswith(part.partition(".")[2]))
        assert torch.equal(after[place], state[key])
    changed = {key for key in after if not torch.equal(after[key], before[key])}
    assert len(changed) == len(state)
    assert all(key.split(".")[1].split("-")[1] == "1" for key in changed)


def test_weights_that_do_not_fit_are_named_and_nothing_is_placed(
    network: StitchedNetwork, state: State, tmp_path: Path
) -> None:
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    path = tmp_path / "w.pth"
    wrong = state | {"linear.weight": torch.rand(100, 16)}
    deep = state | {"layer3.2.conv1.weight": torch.rand(16, 16, 3, 3)}
    lacking = {name: tensor for name, tensor in state.items() if name != "layer2.1.bn1.bias"}
    for given, expected in [
        (wrong, r"in 1 places: linear.weight is \(100, 16\), not \(10, 16\)"),
        (deep, r"in 1 places: layer3.2.conv1.weight has no place"),
        (lacking, r"in 1 places: block-1-3.bn1.bias is missing"),
        ({}, r"…"),
    ]:
        torch.save(given, path)
        with pytest.raises(WeightsError, match=expected) as caught:
            anchors.place(network, FAMILY, LARGE, path)
        assert str(path) in str(caught.value)
        assert "large of cifar-resnet" in str(caught.value)
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[key])


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_file_of_weights_is_never_run(
    network: StitchedNetwork, state: State, tmp_path: Path
) -> None:
    sign, path = tmp_path / "exploded", tmp_path / "w.pth"
    for save in (torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing))):
        save({**state, "conv1.weight": Bomb(sign)}, path)
        with pytest.raises(WeightsError, match="does not load as plain tensors") as caught:
            anchors.place(network, FAMILY, LARGE, path)
        assert "\x1b" not in str(caught.value)  # torch colours its advice
        assert not sign.exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 and so on", bytes(range(256))])
def test_files_that_hold_no_weights_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    with pytest.raises(WeightsError, match="cannot be read"):
        anchors.read(path)
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="must hold a state dict"):
        anchors.read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(WeightsError, match=r"cannot be read|must hold"):
        anchors.read(path)


@pytest.mark.parametrize("thing", [[torch.zeros(1)], {0: torch.zeros(1)}, {"a": 1}, 3.0])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, thing: object) -> None:
    torch.save(thing, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="a tensor under each name"):
        anchors.read(tmp_path / "w.pth")


@pytest.mark.data("resnet_cifar10_akamaster")
def test_weights_of_another_anchor_are_refused_before_training(tmp_path: Path) -> None:
    folder = data_folder() / "resnet_cifar10_akamaster"
    files = {f"r{n}": next(folder.glob(f"resnet{n}*")) for n in (20, 32, 44, 56)}
    files["r20"], files["r32"] = files["r32"], files["r20"]
    space = StitchSpace(CifarResNet(2), Windows(2, 1), max_stitches=1)
    settings = Training(0, 0, 0, anchors=files)
    noise = Split(np.zeros((4, 3, 32, 32), dtype=np.float32), np.zeros(4, dtype=np.int64))
    with pytest.raises(WeightsError, match=r"do not fit r20 of cifar-resnet, in 60 places"):
        train(space, Dataset("noise", 10, noise, noise, noise), settings, tmp_path, NoProgress())
    assert not list(tmp_path.iterdir())
