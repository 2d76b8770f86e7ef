import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tailorbird.errors import WeightsError, WeightsKeyError
from tailorbird.progress import NoProgress
from tailorbird.published.data_folder import data_folder
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.cifar_resnet import CifarResNet
from tailorbird.spaces.stitching.families.efficientnet_lite import EfficientNetLite
from tailorbird.training import Dataset, Split, Training, train
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.stitching import anchors

FAMILY = CifarResNet(2, ("small", "large"), ((1, 1, 1), (2, 2, 2)), (4, 8, 16))
LARGE = 1
State = dict[str, Tensor]


@pytest.fixture
def network() -> SharedNetwork:
    torch.manual_seed(0)
    return SharedNetwork(StitchSpace(FAMILY, Windows(2, 1), max_stitches=1))


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
    network: SharedNetwork,
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


def without(state: State, ending: str) -> State:
    return {name: tensor for name, tensor in state.items() if not name.endswith(ending)}


def renamed(state: State, old: str, new: str, n: int = -1) -> State:
    return {name.replace(old, new, n): tensor for name, tensor in state.items()}


MISFITS: list[tuple[Callable[[State], State], str]] = [
    (
        lambda state: state | {"linear.weight": torch.rand(100, 16)},
        "in 1 place. In the file / looked for: 'linear.weight' of shape (100, 16) / "
        "'linear.weight' of shape (10, 16). Name the file",
    ),
    (
        lambda state: state | {"layer3.2.conv1.weight": torch.rand(16, 16, 3, 3)},
        "in 1 place. In the file / looked for: 'layer3.2.conv1.weight' / nothing. ",
    ),
    (
        lambda state: without(state, "layer2.1.bn1.bias"),
        "in 1 place. In the file / looked for: nothing / 'layer2.1.bn1.bias'. ",
    ),
    (
        lambda state: renamed(state, "layer2.1.bn", "layer2.1.norm"),
        "in 8 places. In the file / looked for: 'layer2.1.norm1.bias' / 'layer2.1.bn1.bias', "
        "'layer2.1.norm1.running_mean' / 'layer2.1.bn1.running_mean', ",
    ),
    (
        lambda state: state | {"module.bn1.bias": torch.rand(4)},
        "in 1 place. In the file / looked for: 'module.bn1.bias' / nothing. ",
    ),
    (
        lambda state: {**state, "evil\x1b[31m\n": torch.rand(4)},
        "in 1 place. In the file / looked for: 'evil?[31m?' / nothing. ",
    ),
    (
        lambda state: renamed(state, "", "model.", 1) | {"module.bn1.bias": torch.rand(4)},
        "in 1 place. In the file / looked for: "
        "'model.bn1.bias' and 'module.bn1.bias' / one of them",
    ),
    (lambda state: {"layer1": torch.rand(1)}, "in 65 places. In the file / looked for: "),
]


@pytest.mark.parametrize(("change", "expected"), MISFITS)
def test_weights_that_do_not_fit_are_shown_beside_what_is_looked_for_and_nothing_is_placed(
    network: SharedNetwork,
    state: State,
    tmp_path: Path,
    change: Callable[[State], State],
    expected: str,
) -> None:
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    path = tmp_path / "w.pth"
    torch.save(change(state), path)
    with pytest.raises(WeightsError) as caught:
        anchors.place(network, FAMILY, LARGE, path)
    assert expected in str(caught.value)
    assert f"{str(path)!r} do not fit large of cifar-resnet" in str(caught.value)
    assert len(str(caught.value)) < 900
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[key])


def test_names_in_the_words_of_a_family_that_does_not_tell_its_own(
    network: SharedNetwork, state: State, tmp_path: Path
) -> None:
    class Silent:
        """Only knows where weights go."""

        name, anchors, stages, n_classes = FAMILY.name, FAMILY.anchors, FAMILY.stages, 10
        input_shape, workload, place = FAMILY.input_shape, FAMILY.workload, FAMILY.place

    torch.save(without(state, "layer2.1.bn1.bias"), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"nothing / 'block-1-3\.bn1\.bias'"):
        anchors.place(network, Silent(), LARGE, tmp_path / "w.pth")


LAYER = "layer2.0.conv1.weight"
WRONG: list[tuple[str, Callable[[Tensor], Tensor], str]] = [
    (LAYER, Tensor.to_sparse, f"plain arrays of floats, but '{LAYER}' .* is sparse. .*to_dense"),
    ("linear.weight", Tensor.to_sparse_csr, "is sparse"),
    (LAYER, lambda t: t.to("meta"), "without values, on torch's device `meta`"),
    (LAYER, lambda t: t.to(torch.complex64), "is complex"),
    (LAYER, lambda t: t.to(torch.float8_e4m3fn), "is of float8_e4m3fn"),
    (LAYER, Tensor.long, "is of int64"),
    (LAYER, lambda t: t > 0, "is of bool"),
    (LAYER, lambda t: torch.nested.nested_tensor([t[0], t[1]]), "is a nested tensor"),
    (LAYER, lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "is quantised"),
    (LAYER, lambda t: t / (t > t.min()), f"finite, but 1 of the 288 values of '{LAYER}'"),
    (LAYER, lambda t: t * float("nan"), "finite, but 288 of the 288"),
    (LAYER, lambda t: 1e300 * (1 + t.double()), "are not, in float32"),
    ("bn1.running_var", lambda t: -1 - t, "Variances must not be negative, .* goes down to -"),
    (LAYER, lambda t: t.flatten()[0].expand(10**7, 10**7), r"shape \(10000000, 10000000\)"),
    (LAYER, lambda t: t.flatten()[0], r"of shape \(\) / "),
]


@pytest.mark.filterwarnings("ignore")  # of types that torch is about to give up
@pytest.mark.parametrize(("name", "change", "expected"), WRONG)
def test_values_that_no_weight_has_are_refused(
    network: SharedNetwork,
    state: State,
    tmp_path: Path,
    name: str,
    change: Callable[[Tensor], Tensor],
    expected: str,
) -> None:
    torch.save(state | {name: change(state[name])}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=expected):
        anchors.place(network, FAMILY, LARGE, tmp_path / "w.pth")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_converted(
    network: SharedNetwork, state: State, tmp_path: Path, dtype: torch.dtype
) -> None:
    torch.save({name: tensor.to(dtype) for name, tensor in state.items()}, tmp_path / "w.pth")
    anchors.place(network, FAMILY, LARGE, tmp_path / "w.pth")
    placed = network.state_dict()["parts.head-1-0.linear.weight"]
    assert placed.dtype == torch.float32
    assert torch.equal(placed, state["linear.weight"].to(dtype).float())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            lambda s: s | {"linear.weight": torch.rand(1000, 16), "linear.bias": torch.rand(1000)},
            "is for 1,000",
        ),
        (lambda s: without(without(s, "linear.weight"), "linear.bias"), "holds none"),
    ],
)
def test_a_head_for_other_classes_is_left_as_it_was_drawn_and_the_blocks_are_taken(
    network: SharedNetwork,
    state: State,
    tmp_path: Path,
    change: Callable[[State], State],
    why: str,
) -> None:
    drawn = {k: v.clone() for k, v in network.state_dict().items() if k.startswith("parts.head-1")}
    torch.save(change(state), tmp_path / "w.pth")
    assert why in anchors.place(network, FAMILY, LARGE, tmp_path / "w.pth").new_head
    after = network.state_dict()
    assert all(torch.equal(after[key], drawn[key]) for key in drawn)
    assert torch.equal(after["parts.block-1-3.conv2.weight"], state["layer2.1.conv2.weight"])


def test_half_a_head_or_one_of_another_width_is_no_head_for_other_classes(
    network: SharedNetwork, state: State, tmp_path: Path
) -> None:
    wide = {"linear.weight": torch.rand(1000, 17), "linear.bias": torch.rand(1000)}
    for given in (without(state, "linear.bias"), state | wide):
        torch.save(given, tmp_path / "w.pth")
        with pytest.raises(WeightsError, match=r"linear\.bias"):
            anchors.place(network, FAMILY, LARGE, tmp_path / "w.pth")


def test_a_layer_that_is_as_wide_as_there_are_classes_is_none_of_them(tmp_path: Path) -> None:
    """EfficientNet's last convolution has 1,280 outputs, and needs its weights whatever comes."""
    family = replace(EfficientNetLite(1), n_classes=1280)
    space = StitchSpace(family, Windows(2, 1), max_stitches=0)
    with torch.device("meta"):
        network = SharedNetwork(space)
    parts = (part for part in space.parts_of(space.landmarks[0]))
    full = {
        family.name_of(part, inner): torch.zeros(()).expand(tensor.shape)
        for part in parts
        for inner, tensor in network.parts[str(part)].state_dict().items()
    }
    for given in (
        without(full, "conv_head.weight"),
        full | {"conv_head.weight": torch.zeros(()).expand(640, 320, 1, 1)},
    ):
        torch.save(given, tmp_path / "w.pth")
        with pytest.raises(WeightsError, match=r"in 1 place\. .*conv_head\.weight"):
            anchors.place(network, family, 0, tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("make", "keys"),
    [
        (
            lambda s: {"state_dict": renamed(s, "", "model.", 1) | {"loss.weight": torch.ones(10)}},
            ("state_dict.model",),
        ),
        (
            lambda s: renamed(s, "", "student.", 1) | renamed(s, "", "teacher.net.", 1),
            ("student", "teacher"),
        ),
        (
            lambda s: renamed(s, "", "module.encoder_q.", 1) | {"module.queue": torch.ones(3)},
            ("module.encoder_q",),
        ),
    ],
)
def test_a_part_of_the_names_that_fits_is_offered_by_its_key(
    network: SharedNetwork,
    state: State,
    tmp_path: Path,
    make: Callable[[State], State],
    keys: tuple[str, ...],
) -> None:
    path = tmp_path / "w.pth"
    torch.save(make(state), path)
    with pytest.raises(WeightsError) as caught:
        anchors.place(network, FAMILY, LARGE, path)
    told = ", ".join(map(repr, keys))
    assert f"{told} fit alone: choose by a key, such as {keys[0]!r}." in str(caught.value)
    assert isinstance(caught.value, WeightsKeyError)
    assert (caught.value.path, caught.value.key) == (path, keys[0])
    for key in keys:
        anchors.place(network, FAMILY, LARGE, path, key)


def test_another_name_of_the_head_is_shown_beside_the_one_that_is_looked_for(
    network: SharedNetwork, state: State, tmp_path: Path
) -> None:
    torch.save(renamed(state, "linear", "linear.1"), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"'linear\.1\.bias' / 'linear\.bias'"):
        anchors.place(network, FAMILY, LARGE, tmp_path / "w.pth")


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_file_of_weights_is_never_run(
    network: SharedNetwork, state: State, tmp_path: Path
) -> None:
    sign, path = tmp_path / "exploded", tmp_path / "w.pth"
    for save in (torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing))):
        save({**state, "conv1.weight": Bomb(sign)}, path)
        with pytest.raises(
            WeightsError, match=r"posix.mkdir, which is not loaded|that torch.save did not write"
        ) as caught:
            anchors.place(network, FAMILY, LARGE, path)
        assert "\x1b" not in str(caught.value)  # torch colours its advice
        assert not sign.exists()


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
