"""Elastic transformers and mobile networks, held to timm's."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import timm
import torch
from shared_spaces import assert_same, space_of
from timm.models._efficientnet_blocks import UniversalInvertedResidual
from timm.models.fasternet import MLPBlock, PatchMerging
from torch import nn

from tailorbird import spaces
from tailorbird.errors import RecipeError
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.elastic.mobile_modules import FasterBlock, UniversalBottleneck
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.spaces.stitching.modules.vit import SizedBlock
from tailorbird.training import SharedNetwork
from tailorbird.training.shared.shared_tensors import SharedTensors
from tailorbird.training.shared.windows import WindowedModule


def chain(name: str, **settings: Any) -> Chain:
    space = spaces.get(name, **settings)
    assert isinstance(space, Chain)
    return space


def varied(module: nn.Module) -> nn.Module:
    """No weight or statistic is zero or one, so that none can be lost unseen."""
    torch.manual_seed(0)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.2 * torch.rand_like(tensor))
    return module.eval()


@pytest.mark.long
def test_the_largest_network_with_the_weights_of_timm_computes_what_timm_does() -> None:
    """Names of shared tensors lead from timm's: block `i` is `stage0_i`."""
    space = space_of("elastic-vit")
    theirs = varied(timm.create_model("deit_tiny_patch16_224", img_size=32, num_classes=10))
    network = SharedNetwork(space)
    own = {}
    for name, weight in theirs.state_dict().items():
        first, _, inner = name.partition(".")
        if first == "blocks":
            number, _, inner = inner.partition(".")
            own[f"parts.stage0_{number}-vit_block.{inner}"] = weight
        elif first in ("norm", "head"):
            own[f"parts.last-0-vit_head.{name}"] = weight
        else:
            own[f"parts.first-0-patch_embedding.{name}"] = weight
    network.load_state_dict(own, strict=True)
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        y, expected = network.eval()(x, space.route(smallest_and_largest(space)[1])), theirs(x)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("heads", "hidden"), [(1, 8), (2, 24), (3, 8)])
def test_a_smaller_block_is_a_larger_one_whose_other_heads_and_units_are_not_heard(
    heads: int, hidden: int
) -> None:
    torch.manual_seed(0)
    modules = [SizedBlock(12, 3, 4, 24), SizedBlock(12, heads, 4, hidden)]
    shared = SharedTensors(modules)
    large, small = (WindowedModule(module, shared) for module in modules)
    x = torch.randn(2, 5, 12)
    y = small(x)
    with torch.no_grad():
        shared.get_parameter("attn.proj.weight")[:, 4 * heads :] = 0
        shared.get_parameter("mlp.fc2.weight")[:, hidden:] = 0
    torch.testing.assert_close(y, large(x))
    assert_same(small.plain()(x), small(x))


@pytest.mark.parametrize(
    ("member", "width", "heads"), [("ti", 192, 3), ("s", 384, 6), ("b", 768, 12)]
)
def test_the_largest_network_is_the_deit_of_its_name(member: str, width: int, heads: int) -> None:
    space, deit = chain("elastic-vit", member=member), spaces.get("deit-ti-s-b")
    ends = smallest_and_largest(space)
    macs = count_macs(space, ends)
    assert macs[1] == count_macs(deit, deit.landmarks)[["ti", "s", "b"].index(member)]
    assert 6 < macs[1] / macs[0] < 8
    assert space.size == sum(9**depth for depth in (6, 8, 10, 12))
    first, *blocks, last = (piece.workload for piece in space.route(ends[1]))
    assert {first, last} < {*deit.workloads}  # so their latencies serve both
    assert {block.key for block in blocks} == {
        f"vit_block(width={width},heads={heads},head_dim=64,hidden={4 * width})[1x197x{width}]f32"
    }


def test_transformers_have_the_settings_that_their_names_say() -> None:
    space = chain("elastic-vit", batch=2, member="s", resolution=32, patch=4, n_classes=7)
    assert space.name == "elastic-vit(member=s,resolution=32,patch=4,n_classes=7)"
    assert {w.inputs for w in space.workloads if w.op == "vit_block"} == {((2, 65, 384),)}
    with torch.inference_mode():
        assert space.build(space.landmarks[0]).eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("elastic-vit", {"resolution": 100}, "a multiple of `patch`, 16, but got 100"),
        ("elastic-vit", {"resolution": 8}, "a multiple of `patch`, 16, but got 8"),
        ("elastic-vit", {"patch": 0}, "'patch'.*greater than 0"),
        ("elastic-vit", {"member": "l"}, "'member'.*'ti', 's' or 'b'"),
        ("mobile-elastic", {"resolution": 100}, "a multiple of 32, .* but got 100"),
        ("mobile-elastic", {"n_classes": 1}, "'n_classes'.*greater than or equal to 2"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as refused:
        spaces.get(name, **settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("first", "middle", "stride", "to"),
    [(0, 3, 1, 24), (3, 0, 2, 40), (5, 3, 2, 40), (3, 5, 1, 24), (0, 0, 1, 24), (0, 0, 1, 16)],
)
def test_universal_bottlenecks_do_what_those_of_timm_do(
    first: int, middle: int, stride: int, to: int
) -> None:
    theirs = varied(
        UniversalInvertedResidual(
            24, to, first, middle, stride=stride, exp_ratio=4.0, layer_scale_init_value=None
        )
    )
    ours = UniversalBottleneck(24, to, stride, 4, first, middle).eval()
    values = theirs.state_dict().values()
    ours.load_state_dict(dict(zip(ours.state_dict(), values, strict=True)))
    x = torch.randn(2, 24, 13, 13)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x))


def test_a_block_without_a_depthwise_convolution_keeps_the_grid() -> None:
    with pytest.raises(ValueError, match=r"must keep the grid, .* but `stride` is 2"):
        UniversalBottleneck(24, 24, 2, 4, 0, 0)


@pytest.mark.parametrize(("stride", "to"), [(1, 24), (2, 48), (1, 48)])
def test_faster_blocks_do_what_those_of_timm_do(stride: int, to: int) -> None:
    block = varied(MLPBlock(to, 4, 2.0, 0.0, 0.0))
    ours = FasterBlock(24, to, stride, 2).eval()
    inner = {
        "mix.weight": "spatial_mixing.partial_conv3.weight",
        "project.weight": "mlp.3.weight",
        "expand.conv.weight": "mlp.0.weight",
        **{f"expand.norm.{name}": f"mlp.1.{name}" for name in nn.BatchNorm2d(1).state_dict()},
    }
    values = block.state_dict()
    own = {name: values[theirs] for name, theirs in inner.items()}
    theirs = [block]
    if ours.merges:
        merging = varied(PatchMerging(24, stride)) if stride > 1 else None
        conv = nn.Conv2d(24, to, stride, stride, bias=False)
        theirs = [merging or varied(nn.Sequential(conv, nn.BatchNorm2d(to))), block]
        names = [name for name in ours.state_dict() if name.startswith("merge")]
        own |= dict(zip(names, theirs[0].state_dict().values(), strict=True))
    ours.load_state_dict(own)
    x = torch.randn(2, 24, 12, 12)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), nn.Sequential(*theirs)(x))


@pytest.mark.long
def test_blocks_of_mobile_networks_share_with_those_of_their_own_design_only() -> None:
    space = space_of("mobile-elastic")
    of_name: dict[str, set[str]] = {}
    for piece in space.pieces:
        of_name.setdefault(piece.weights, set()).add(piece.workload.builder)
    assert all(len(builders) == 1 for builders in of_name.values())
    designs = Counter(name.partition("-")[2] for name in of_name if name.startswith("stage"))
    assert designs == {"MobileBlock": 12, "UniversalBottleneck": 12, "FasterBlock": 12}


@pytest.mark.long
def test_each_block_of_a_mobile_network_is_of_the_design_that_its_variables_say() -> None:
    space = space_of("mobile-elastic")
    rows = space.sample(50, np.random.default_rng(0))
    used = Counter[str]()
    for row in rows:
        said = {v.name: v.choices[c] for v, c in zip(space.variables, row, strict=True)}
        for piece in space.route(row)[1:-1]:
            stage, _, slot = piece.weights.partition("-")[0].removeprefix("stage").partition("_")
            place, params = f"{stage}_{slot}", dict(piece.workload.params)
            assert piece.workload.op == said[f"block{place}"]
            fixed = {"MobileBlock": "", "UniversalBottleneck": "expand", "FasterBlock": "hidden"}
            for name in {"expand", "kernel", "se", "first", "middle", "hidden"} & params.keys():
                if name == fixed[piece.workload.op]:
                    assert params[name] == {"expand": 4, "hidden": 2}[name]
                else:
                    assert str(params[name]) == said[f"{name}{place}"]
            used[piece.workload.op] += 1
    assert min(used.values()) > 20
    macs = count_macs(space, smallest_and_largest(space))
    assert macs[1] > 4 * macs[0]
