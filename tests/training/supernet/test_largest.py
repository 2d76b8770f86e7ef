"""Weights of a trained network become those of the largest of a supernet."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from own_net import Block, of
from shared_spaces import OWN, SHIPPED, images_of, space_of
from torch import Tensor, nn

from tailorbird import spaces
from tailorbird.errors import ContractError, WeightsError
from tailorbird.progress import NoProgress
from tailorbird.published.data_folder import data_folder
from tailorbird.spaces import SharedSpace, Stage
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.spaces.stitching.families.cifar_resnet import CifarResNet
from tailorbird.training import Dataset, SupernetTraining, train_supernet
from tailorbird.training.shared.network import fresh
from tailorbird.training.stitching.anchors import place as place_anchor
from tailorbird.training.supernet.largest import place
from tailorbird.training.supernet.train import load, started

LARGE = {"elastic-vit", "fbnet", "mobile-elastic", "ofa-mobilenetv3", "regnet"}
CHAINS = [
    pytest.param(name, marks=pytest.mark.long if name in LARGE else ())
    for name in (*SHIPPED, *OWN)
    if name != "digits-resnet"  # which is stitched
]
WITH_OTHERS = {"fbnet", "macro-mobilenetv2", "mobile-elastic", "regnet"}
"""Whose smaller networks have parts that the largest has not."""
SETTINGS = SupernetTraining(2, 0)


def built(space: SharedSpace, seed: int = 1) -> nn.Module:
    """The largest network as the space builds it, with weights of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module: nn.Module = space.build(smallest_and_largest(space)[1])
        for parameter in module.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return module


def saved(space: SharedSpace, path: Path, keep: Callable[[str], bool] = lambda _: True) -> Path:
    """A file of the largest network's state dict."""
    torch.save({n: t for n, t in built(space).state_dict().items() if keep(n)}, path)
    return path


@pytest.mark.parametrize("name", CHAINS)
def test_the_largest_network_computes_what_the_one_in_the_file_does(
    name: str, tmp_path: Path
) -> None:
    space = space_of(name)
    network, module = fresh(space, 0), built(space)
    placement = place(space, network, saved(space, tmp_path / "w.pt"))
    assert placement.new_head == ""
    said = " ".join(placement.remarks)
    assert ("has buffers" in said) == (name == "stateful")
    assert ("begin as they are drawn" in said) == (name in WITH_OTHERS)
    x = images_of(space, 4).batch(np.arange(4))
    with torch.no_grad():
        torch.manual_seed(0)  # for what drops out
        largest = network.train()(x, space.route(smallest_and_largest(space)[1]))
        torch.manual_seed(0)
        assert torch.equal(largest, module.train()(x))


def test_a_head_for_other_classes_stays_as_it_was_drawn(tmp_path: Path) -> None:
    space, other = spaces.get("digits-elastic"), spaces.get("digits-elastic", n_classes=7)
    assert isinstance(space, Chain)
    assert isinstance(other, Chain)
    for path in (
        saved(other, tmp_path / "seven.pt"),
        saved(space, tmp_path / "none.pt", lambda n: "linear" not in n),
    ):
        network, drawn = fresh(space, 0), fresh(space, 0)
        placement = place(space, network, path)
        assert placement.new_head == f"{str(path)!r} holds none for 10 classes"
        for name, weights in network.named_parameters():
            is_head = name.startswith("parts.last")
            assert torch.equal(weights, drawn.get_parameter(name)) == is_head, name


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        (lambda own: own.pop("1.first.weight"), "nothing / '1.first.weight'"),
        (lambda own: own.update(surplus=torch.ones(1)), "'surplus' / nothing"),
        (
            lambda own: own.update({"1.first.weight": torch.ones(32, 8, 5, 5)}),
            r"of shape \(32, 8, 5, 5\) / '1.first.weight' of shape \(32, 8, 3, 3\)",
        ),
        (lambda own: own["1.first.weight"].fill_(float("nan")), "must be finite"),
        (
            lambda own: own.update({"1.first.weight": own["1.first.weight"].to(torch.complex64)}),
            "is complex",
        ),
    ],
)
def test_files_of_other_networks_are_refused_and_nothing_is_placed(
    tmp_path: Path, wrong: Callable[[dict[str, Tensor]], object], law: str
) -> None:
    space = space_of("digits-elastic")
    own = built(space).state_dict()
    wrong(own)
    torch.save(own, tmp_path / "w.pt")
    network = fresh(space, 0)
    with pytest.raises(WeightsError, match=law):
        place(space, network, tmp_path / "w.pt")
    drawn = fresh(space, 0)
    assert all(torch.equal(w, drawn.get_parameter(n)) for n, w in network.named_parameters())


def test_a_key_chooses_and_its_absence_is_found_out(tmp_path: Path) -> None:
    space = space_of("digits-elastic")
    torch.save({"epoch": 3, "state_dict": built(space).state_dict()}, tmp_path / "w.pt")
    one, other = fresh(space, 0), fresh(space, 0)
    place(space, one, tmp_path / "w.pt")
    place(space, other, tmp_path / "w.pt", "state_dict")
    assert all(torch.equal(w, other.get_parameter(n)) for n, w in one.named_parameters())
    with pytest.raises(WeightsError, match="no tensors under the key 'ema'"):
        place(space, other, tmp_path / "w.pt", "ema")


def test_the_largest_network_is_named_where_others_have_as_many_macs(tmp_path: Path) -> None:
    space = of([Stage(Block, to=4, depth=(1, 2), norm=(False, True))])
    row = smallest_and_largest(space)[1]
    assert (row != space.landmarks[-1]).any()
    torch.save(space.build(space.landmarks[-1]).state_dict(), tmp_path / "other.pt")
    law = rf"that `space.build` makes of {re.escape(repr(space.describe(row)))}, which is `tailorb"
    with pytest.raises(WeightsError, match=law):
        place(space, fresh(space, 0), tmp_path / "other.pt")
    assert not place(space, fresh(space, 0), saved(space, tmp_path / "w.pt")).new_head


def test_names_that_a_space_fails_to_give_are_refused_in_a_sentence(tmp_path: Path) -> None:
    space = of([Stage(Block, to=4, depth=(1, 2))], names={"stem.weight": "0.weight"}.__getitem__)
    torch.save({"stem.weight": torch.ones(4, 1, 3, 3), "mean": torch.ones(1)}, tmp_path / "w.pt")
    law = (
        r"`names` of a space must give .* but for 'mean' it failed \(KeyError: 'mean'\)\. Give None"
    )
    with pytest.raises(ContractError, match=law):
        place(space, fresh(space, 0), tmp_path / "w.pt")


@pytest.mark.data("resnet_cifar10_akamaster")
@pytest.mark.parametrize(
    ("n_layers", "file"), [(20, "resnet20-12fca82f"), (56, "resnet56-4bfd9763")]
)
def test_published_residual_networks_are_placed_by_their_names(n_layers: int, file: str) -> None:
    space = spaces.get("elastic-resnet", n_layers=n_layers)
    stitched = spaces.get("cifar-resnet")
    assert isinstance(space, Chain)
    assert isinstance(stitched, StitchSpace)
    path = data_folder() / "resnet_cifar10_akamaster" / f"{file}.th"
    network = fresh(space, 0)
    assert place(space, network, path).new_head == ""
    anchors = fresh(stitched, 0)
    number = stitched.family.anchors.index(f"r{n_layers}")
    place_anchor(anchors, CifarResNet(1), number, path)
    x = images_of(space, 4).batch(np.arange(4))
    with torch.no_grad():
        largest = network.train()(x, space.route(space.landmarks[-1]))
        anchor = anchors.train()(x, stitched.route(stitched.landmarks[number]))
    torch.testing.assert_close(largest, anchor, rtol=1e-5, atol=1e-5)


@pytest.mark.long
def test_vision_transformers_of_timm_are_placed_by_their_names(tmp_path: Path) -> None:
    space = spaces.get("elastic-vit", resolution=32)
    assert isinstance(space, Chain)
    model = timm.create_model("deit_tiny_patch16_224", img_size=32).eval()
    torch.save(model.state_dict(), tmp_path / "w.pt")
    network = fresh(space, 0).eval()
    assert place(space, network, tmp_path / "w.pt").new_head == ""
    x = images_of(space, 2).batch(np.arange(2))
    with torch.no_grad():
        largest = network(x, space.route(smallest_and_largest(space)[1]))
        torch.testing.assert_close(largest, model(x), rtol=1e-4, atol=1e-5)


def test_training_begins_with_the_file_and_another_file_trains_anew(
    few_digits: Dataset, tmp_path: Path
) -> None:
    space = space_of("digits-elastic")
    path = saved(space, tmp_path / "w.pt")
    settings = replace(SETTINGS, largest=path)
    network, _ = started(space, few_digits, settings)
    unsorted, _ = started(space, few_digits, replace(settings, importance="none"))
    x = few_digits.train.batch(np.arange(8))
    route = space.route(smallest_and_largest(space)[1])
    with torch.no_grad():
        given = built(space).train()(x)
        assert torch.equal(unsorted.train()(x, route), given)
        torch.testing.assert_close(network.train()(x, route), given, rtol=1e-4, atol=1e-5)
    still = replace(settings, learning_rates={"block": 1e-12})
    trained = train_supernet(space, few_digits, still, tmp_path / "run", NoProgress())
    for name, weights in trained.network.named_parameters():
        torch.testing.assert_close(weights, network.get_parameter(name), rtol=0, atol=1e-6)
    assert load(space, few_digits, still, tmp_path / "run") is not None
    for other in (
        replace(still, importance="none"),
        replace(still, importance="taylor"),
        replace(still, largest=None),
    ):
        assert load(space, few_digits, other, tmp_path / "run") is None
    torch.save(built(space, 2).state_dict(), path)
    assert load(space, few_digits, still, tmp_path / "run") is None


@pytest.mark.parametrize(
    ("settings", "law"),
    [
        ({"learning_rates": {"block": 0.1}}, "rate of `head` must be above 0, since .* 7"),
        ({"importance": "taylor"}, 'Importance "taylor" needs a head that was trained'),
        ({"importance": "l3"}, "no importance 'l3'; did you mean 'l1'"),
    ],
)
def test_settings_that_need_a_head_are_refused_without_one(
    few_digits: Dataset, tmp_path: Path, settings: dict[str, object], law: str
) -> None:
    space, seven = spaces.get("digits-elastic"), spaces.get("digits-elastic", n_classes=7)
    assert isinstance(space, Chain)
    assert isinstance(seven, Chain)
    path = saved(seven, tmp_path / "w.pt")
    wrong = replace(SETTINGS, largest=path, **settings)  # type: ignore[arg-type]  # of each kind
    law = law.replace("* 7", "* holds none for 10 classes")
    with pytest.raises((ContractError, WeightsError), match=law):
        train_supernet(space, few_digits, wrong, tmp_path / "run", NoProgress())
    assert not [*tmp_path.glob("run/*")]


def of_tied() -> tuple[dict[str, Tensor], tuple[str, str]]:
    """State of a network with tied weights, and two names of one of them."""
    module, first = built(space_of("tied")), dict[int, str]()
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if first.setdefault(id(parameter), name) != name:
            return module.state_dict(), (first[id(parameter)], name)
    raise AssertionError


@pytest.mark.parametrize("left_out", [0, 1])
def test_a_tied_weight_needs_one_of_its_names(left_out: int, tmp_path: Path) -> None:
    """As safetensors writes it."""
    space, network = space_of("tied"), fresh(space_of("tied"), 0)
    state, names = of_tied()
    del state[names[left_out]]
    torch.save(state, tmp_path / "w.pt")
    assert place(space, network, tmp_path / "w.pt").remarks == ()
    x = images_of(space, 4).batch(np.arange(4))
    with torch.no_grad():
        largest = network.train()(x, space.route(smallest_and_largest(space)[1]))
        assert torch.equal(largest, built(space).train()(x))


def test_weights_that_are_tied_here_and_were_not_there_are_refused(tmp_path: Path) -> None:
    space, network = space_of("tied"), fresh(space_of("tied"), 0)
    state, (_, other) = of_tied()
    torch.save({**state, other: state[other] + 1}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"are one weight of the largest network of .* differ"):
        place(space, network, tmp_path / "w.pt")
