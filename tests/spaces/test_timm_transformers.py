"""Families of pretrained transformers, held to timm's networks and to the papers' numbers."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.numpy import load_file
from torch import Tensor, nn

from tailorbird.spaces.stitching import Pretrained, StitchSpace, TwoWay, Windows
from tailorbird.spaces.stitching.families.deit import DeiT
from tailorbird.spaces.stitching.families.deit3 import DeiT3
from tailorbird.spaces.stitching.families.swin import Swin
from tailorbird.spaces.stitching.family import Part

SWIN = StitchSpace(Swin(1), Windows(2, 1, skipped_stages=(3,)), max_stitches=1)

ANCHORS = [
    (DeiT(1), 0, "deit_tiny_patch16_224"),
    pytest.param(DeiT(1), 1, "deit_small_patch16_224", marks=pytest.mark.long),
    pytest.param(DeiT(1), 2, "deit_base_patch16_224", marks=pytest.mark.slow),
    (DeiT3(1), 0, "deit3_small_patch16_224"),
    pytest.param(DeiT3(1), 1, "deit3_large_patch16_224", marks=pytest.mark.slow),
    (Swin(1), 0, "swin_tiny_patch4_window7_224"),
    pytest.param(Swin(1), 1, "swin_small_patch4_window7_224", marks=pytest.mark.long),
    pytest.param(Swin(1), 2, "swin_base_patch4_window7_224", marks=pytest.mark.slow),
]


def label(value: object) -> str:
    return str(getattr(value, "name", value))


def varied(network: nn.Module) -> nn.Module:
    """No weight is zero, one or a tiny scale, so that none can be lost unseen."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return network.eval()


def placed(family: Pretrained, anchor: int, weights: dict[str, Tensor]) -> nn.Module:
    """An anchor's network with another's weights; each goes to a place of its own, none is left."""
    space = StitchSpace(family, Windows(1, 1), max_stitches=0)
    row = space.landmarks[anchor]
    states: dict[Part, dict[str, Tensor]] = defaultdict(dict)
    for name, weight in weights.items():
        part, own = family.place(anchor, name)
        assert own not in states[part]
        states[part][own] = weight
    network = space.build(row)
    assert isinstance(network, nn.Sequential)
    for part, module in zip(space.parts_of(row), network, strict=True):
        module.load_state_dict(states.pop(part), strict=True)
    assert not states
    return network.eval()


@pytest.mark.parametrize(("family", "anchor", "name"), ANCHORS, ids=label)
def test_an_anchor_with_the_weights_of_timm_computes_what_timm_does(
    family: Pretrained, anchor: int, name: str
) -> None:
    torch.manual_seed(0)
    theirs = varied(timm.create_model(name, pretrained=False))
    ours = placed(family, anchor, theirs.state_dict())
    x = torch.randn(2, *family.input_shape[1:])
    with torch.inference_mode():
        expected = theirs(x)
        torch.testing.assert_close(ours(x), expected, rtol=1e-5, atol=1e-5 * expected.abs().max())


@pytest.mark.parametrize(
    ("family", "name"),
    [
        (DeiT(1), "blocks.12.norm1.weight"),
        (DeiT(1), "blocks.0.ls1.gamma"),
        (DeiT(1), "dist_token"),
        (DeiT3(1), "blocks.12.norm1.weight"),
        (Swin(1), "layers.0.downsample.norm.weight"),
        (Swin(1), "layers.2.blocks.6.norm1.weight"),
        (Swin(1), "layers.0.blocks.0.attn.relative_position_index"),
        (Swin(1), "head.weight"),
    ],
    ids=label,
)
def test_a_weight_that_an_anchor_lacks_has_no_place(family: Pretrained, name: str) -> None:
    with pytest.raises(KeyError, match=name):
        family.place(0, name)


def test_the_third_deit_has_the_published_configurations() -> None:
    space = StitchSpace(DeiT3(1), TwoWay(), max_stitches=2)
    assert len(np.vstack(list(space.enumerate(1000)))) == space.size == 134  # SN-Netv2


def test_swin_has_the_published_configurations() -> None:
    assert len(np.vstack(list(SWIN.enumerate(1000)))) == SWIN.size == 41  # SN-Net


def test_blocks_of_swin_differ_in_shift_and_in_what_leads_to_them() -> None:
    keys = [SWIN.workload(Part("block", 0, i)).key for i in range(12)]
    assert keys[2] == (
        "swin_merging_block(width=192,heads=6,side=28,window=7,shift=0,mlp_ratio=4)[1x3136x96]f32"
    )
    assert keys[3] == (
        "swin_block(width=192,heads=6,side=28,window=7,shift=3,mlp_ratio=4)[1x784x192]f32"
    )
    assert keys[5] == keys[7] == keys[9]
    assert keys[6] == keys[8]
    assert keys[11] == (
        "swin_block(width=768,heads=24,side=7,window=7,shift=0,mlp_ratio=4)[1x49x768]f32"
    )


def test_swin_on_a_grid_that_does_not_halve_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 32, but got 240"):
        Swin(1, side=240)


def test_small_images_make_small_windows() -> None:
    torch.manual_seed(0)
    theirs = varied(timm.create_model("swin_tiny_patch4_window7_224", img_size=64, num_classes=5))
    ours = placed(Swin(1, side=64, n_classes=5), 0, theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.tvm
@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("family", "part"),
    [
        (DeiT3(1), Part("embedding", 0)),
        (DeiT3(1), Part("block", 0)),
        (Swin(1), Part("embedding", 0)),
        (Swin(1), Part("block", 0, 2)),
        (Swin(1), Part("block", 0, 3)),
        (Swin(1), Part("block", 0, 4)),
        (Swin(1), Part("block", 0, 6)),
        (Swin(1), Part("block", 0, 7)),
        (Swin(1), Part("block", 0, 11)),
        (Swin(1), Part("head", 0)),
    ],
    ids=label,
)
def test_programs_agree_with_torch(family: Pretrained, part: Part, tmp_path: Path) -> None:
    import tvm
    from tvm import relax

    from tailorbird.latency_tables.devices.device import find
    from tailorbird.latency_tables.runtimes.tvm.compile.build import build_library
    from tailorbird.latency_tables.runtimes.tvm.compile.layout import NCHW_TO_NHWC

    torch.manual_seed(0)
    workload = family.workload(part)
    module, x = varied(workload.build()), torch.randn(workload.inputs[0])
    path = tmp_path / "program.so"
    unscheduled = build_library(module, (x,), find("local", threads=1).target, 1, path)
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())
    stored = load_file(path.with_suffix(".safetensors"))
    weights = [tvm.runtime.tensor(stored[str(i)]) for i in range(len(stored))]
    last = x.permute(NCHW_TO_NHWC).contiguous() if x.dim() == 4 else x
    y = machine["main"](tvm.runtime.tensor(last.numpy()), *weights).numpy()
    with torch.inference_mode():
        expected = module(x).numpy()
    assert y.shape == expected.shape
    assert np.abs(y - expected).max() <= 1e-5 * np.abs(expected).max()
    assert unscheduled == []
