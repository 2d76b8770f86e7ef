"""Names that wrappers and other projects give weights, held to what their networks compute."""

from collections import defaultdict
from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from tailorbird.spaces.stitching import Part, Pretrained, StitchSpace, Windows
from tailorbird.spaces.stitching.families.cifar_resnet import CifarResNet
from tailorbird.spaces.stitching.families.deit import DeiT
from tailorbird.spaces.stitching.families.deit3 import DeiT3
from tailorbird.spaces.stitching.families.swin import Swin
from tailorbird.training.weights.names import Sorted, sort_names

SWIN = Swin(1, ("a",), ((2, 2, 2, 2),), (16,), (1,), n_classes=5)
VIT = DeiT(1, ("a",), (16,), (2,), depth=2, side=32, n_classes=5)
RESNET = CifarResNet(1, ("a",), ((1, 1, 1),), (4, 8, 16))


def sorted_for(family: Pretrained, names: list[str]) -> Sorted:
    def place(name: str) -> tuple[Part, str] | None:
        try:
            return family.place(0, name)
        except KeyError:
            return None

    return sort_names(names, place)


def filled(family: Pretrained, state: dict[str, Tensor]) -> nn.Module:
    """The network of a family's one anchor with all of these weights, and no others."""
    found = sorted_for(family, list(state))
    assert found.unplaced == ()
    states: dict[Part, dict[str, Tensor]] = defaultdict(dict)
    for name, (part, inner) in found.placed.items():
        states[part][inner] = state[name]
    space = StitchSpace(family, Windows(1, 1), max_stitches=0)
    network = space.build(space.landmarks[0])
    assert isinstance(network, nn.Sequential)
    for part, module in zip(space.parts_of(space.landmarks[0]), network, strict=True):
        module.load_state_dict(states[part], strict=True)
    return network.eval()


def varied(network: nn.Module) -> nn.Module:
    """No weight is zero or one, so that none can be lost unseen."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return network.eval()


def torchvisions_swin() -> nn.Module:
    model: nn.Module = torchvision.models.SwinTransformer(
        [4, 4], 16, [2, 2, 2, 2], [1, 2, 4, 8], [7, 7], num_classes=5
    )
    return model


def torchvisions_vit() -> nn.Module:
    model: nn.Module = torchvision.models.VisionTransformer(32, 16, 2, 2, 16, 64, num_classes=5)
    return model


@pytest.mark.parametrize("wrapped", ["", "module.", "_orig_mod.module."])
@pytest.mark.parametrize(
    ("family", "make"), [(SWIN, torchvisions_swin), (VIT, torchvisions_vit)], ids=["swin", "vit"]
)
def test_a_network_with_torchvisions_weights_computes_what_torchvisions_does(
    family: Pretrained, make: Callable[[], nn.Module], wrapped: str
) -> None:
    torch.manual_seed(0)
    theirs = varied(make())
    ours = filled(family, {wrapped + name: t for name, t in theirs.state_dict().items()})
    x = torch.randn(2, *family.input_shape[1:])
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "anchor", "name"),
    [(DeiT(1), 2, "vit_b_16"), *((Swin(1), i, f"swin_{size}") for i, size in enumerate("tsb"))],
)
def test_every_name_of_torchvisions_published_weights_has_a_place(
    family: Pretrained, anchor: int, name: str
) -> None:
    with torch.device("meta"):
        state = torchvision.models.get_model(name).state_dict()

    def place(name: str) -> tuple[Part, str] | None:
        try:
            return family.place(anchor, name)
        except KeyError:
            return None

    found = sort_names(state, place)
    assert found.unplaced == ()
    assert len(set(found.placed.values())) == len(found.placed)
    for theirs, (part, inner) in found.placed.items():
        own = family.workload(part)
        if part.kind != "block":
            assert own.build().state_dict()[inner].shape == state[theirs].shape


def authors_swin(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of microsoft/Swin-Transformer: merging ends a stage, and buffers are kept."""
    names = {}
    for name, tensor in state.items():
        first, _, rest = name.removeprefix("layers.").partition(".")
        if rest.startswith("downsample."):
            name = f"layers.{int(first) - 1}.{rest}"
        names[name.replace("head.fc.", "head.")] = tensor
    names["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49)
    names["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 49, 49)
    return names


def test_swins_authors_names_are_timms_by_timms_own_filter() -> None:
    torch.manual_seed(0)
    model = timm.models.SwinTransformer(
        embed_dim=16, depths=(2,) * 4, num_heads=(1, 2, 4, 8), num_classes=5
    )
    theirs = authors_swin(model.state_dict())
    filtered = timm.models.swin_transformer.checkpoint_filter_fn({"model": theirs}, model)
    assert filtered.keys() == model.state_dict().keys()
    assert all(torch.equal(filtered[name], t) for name, t in model.state_dict().items())
    varied(model)
    ours = filled(SWIN, authors_swin(model.state_dict()))
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), model(x), rtol=1e-5, atol=1e-5)


def test_the_third_deits_authors_names_are_timms() -> None:
    family = DeiT3(1)
    model = timm.models.VisionTransformer(img_size=32, embed_dim=8, depth=1, num_heads=1)
    gammas = {"blocks.0.gamma_1": torch.zeros(8), "blocks.0.gamma_2": torch.zeros(8)}
    filtered = timm.models.vision_transformer.checkpoint_filter_fn(
        gammas, model, adapt_layer_scale=True
    )
    assert {*filtered} == {"blocks.0.ls1.gamma", "blocks.0.ls2.gamma"}
    names = ["cls_token", "blocks.0.gamma_1", "blocks.11.gamma_2", "blocks.0.attn.qkv.weight"]
    found = sorted_for(family, names)
    assert found.unplaced == ()
    assert found.placed["blocks.11.gamma_2"] == (Part("block", 0, 11), "ls2.gamma")


RIGHT = ["conv1.weight", "layer1.0.conv1.weight", "layer3.0.bn2.bias", "linear.bias"]


PREFIXES = (
    *("", "module.", "_orig_mod.", "model.", "net.", "backbone.", "module._orig_mod."),
    *("_orig_mod.module.model.", "student.encoder."),
)
WRAPPED: dict[str, Callable[[str], str]] = {
    "two": lambda name: ("module." if name.startswith("conv") else "model.") + name,
    "one name": lambda name: name.replace("linear", "module.linear"),
    "inside": lambda name: name.replace("layer1.", "layer1._orig_mod."),
    "both": lambda name: "module." + name.replace("0.", "0._checkpoint_wrapped_module."),
    **{prefix: lambda name, prefix=prefix: prefix + name for prefix in PREFIXES},  # type: ignore[misc]
}


@pytest.mark.parametrize("how", WRAPPED)
def test_what_a_module_was_wrapped_in_is_taken_off_its_names(how: str) -> None:
    wrap = WRAPPED[how]
    names = [wrap(name) for name in RIGHT]
    found = sorted_for(RESNET, [*names, "total_ops", wrap("layer1.0.total_params")])
    assert found.unplaced == ()
    assert list(found.placed.values()) == [RESNET.place(0, name) for name in RIGHT]
    assert found.no_weights == tuple(sorted(["total_ops", wrap("layer1.0.total_params")]))


def test_a_familys_own_names_are_left_as_they_are() -> None:
    """Even if they are what wrappers or others have."""

    class Own(CifarResNet):
        def place(self, anchor: int, name: str) -> tuple[Part, str]:
            return {
                "module.net.total_ops": (Part("embedding", 0), "x"),
                "module.net.head.weight": (Part("head", 0), "y"),
            }[name]

    found = sorted_for(Own(1), ["module.net.total_ops", "module.net.head.weight"])
    assert found.unplaced == found.no_weights == ()
    wrapped = sorted_for(Own(1), ["module.module.net.total_ops", "module.module.net.head.weight"])
    assert len(wrapped.placed) == 1  # what is named like a counter is one, if wrapped


def test_conventions_that_cannot_be_mapped_are_named() -> None:
    cases: list[tuple[Pretrained, str, str]] = [
        (VIT, "vit.encoder.layer.0.attention.attention.query.weight", "Hugging Face"),
        (RESNET, "encoder.layers.encoder_layer_0.ln_1.weight", "torchvision's ViT"),
    ]
    for family, name, owner in cases:
        found = sorted_for(family, [name, "conv.weight"])
        assert found.unplaced == (name, "conv.weight")
        assert found.owner is not None
        assert owner in found.owner
