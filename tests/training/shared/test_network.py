"""Networks of one space share weights, and each is what it is when it is extracted."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from own_net import Block, of
from own_shared import Axes, Placed, of_images, recomputed
from shared_spaces import (
    OWN,
    SHIPPED,
    assert_same,
    images_of,
    rows_of,
    space_of,
    trained,
    varied,
    windows_of,
)
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tailorbird.errors import ContractError
from tailorbird.export.network import load
from tailorbird.spaces import IntArray, SharedSpace, Stage
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.storage import tensors
from tailorbird.training import SharedNetwork, Trained
from tailorbird.training.shared.prefixes import Prefixes

LARGE = ("fbnet", "ofa-mobilenetv3", "elastic-vit", "mobile-elastic", "regnet")
LARGEST = ("ofa-mobilenetv3", "regnet")
CASES = [
    *((name, 3) for name in (*SHIPPED, *OWN) if name not in LARGE),
    *(
        pytest.param(name, 8, marks=pytest.mark.slow if name in LARGEST else pytest.mark.long)
        for name in SHIPPED
    ),
]
each_space = pytest.mark.parametrize(("name", "n_rows"), CASES)


def exported(one: Trained, row: IntArray, path: Path) -> torch.nn.Module:
    """The network of a row, written as `tailorbird.export` writes its weights, and read again."""
    network = one.extract(row)
    metadata = {"space": one.space.name, "encoding": str(row.tolist())}
    tensors.write(path, network.state_dict(), metadata)
    return load(path, one.space)


@each_space
def test_extracted_and_exported_networks_answer_as_the_tree_of_prefixes_does(
    name: str, n_rows: int, tmp_path: Path
) -> None:
    space = space_of(name)
    one = trained(space)
    rows = rows_of(space, n_rows)
    split = images_of(space, 6)
    x = split.batch(np.arange(6))
    routes = [space.route(row) for row in rows]
    together = dict(Prefixes(one.network, routes, one._calibration()).outputs(x))
    assert len({y.numpy().tobytes() for y in together.values()}) == len(rows)  # networks differ
    with torch.no_grad():  # in inference mode torch runs recurrent layers by other kernels
        for row, route in zip(rows, routes, strict=True):
            assert_same(one.extract(row)(x), together[route])
            assert_same(one.set_route(row)(x), together[route])
            assert_same(exported(one, row, tmp_path / "n.safetensors")(x), together[route])
    answers = np.array([together[route].argmax(dim=1).numpy() for route in routes])
    scores = (answers == split.labels).mean(axis=1)
    np.testing.assert_array_equal(one.evaluate(rows, split), scores)


@each_space
@pytest.mark.long
def test_networks_run_in_training_as_if_they_were_alone(name: str, n_rows: int) -> None:
    """And shared weights get the gradients of theirs, inside the window, and none outside."""
    space = space_of(name)
    one = trained(space)
    network = one.network
    split = images_of(space, 4)
    x, labels = split.batch(np.arange(4)), torch.from_numpy(split.labels)
    for row in rows_of(space, n_rows):
        route, alone = space.route(row), one.extract(row).train()
        logits, logits_alone = network.train()(x, route), alone(x)
        assert_same(logits, logits_alone)
        for y in (logits, logits_alone):
            torch.nn.functional.cross_entropy(y, labels).backward()  # type: ignore[no-untyped-call]
        check_gradients(network, space, row, alone)
        network.eval().zero_grad()


def check_gradients(
    network: SharedNetwork, space: SharedSpace, row: IntArray, alone: torch.nn.Module
) -> None:
    expected: dict[Tensor, Tensor] = {}
    outside: dict[Tensor, Tensor] = {}
    for whole, window, name in windows_of(network, space.route(row)):
        gradient = alone.get_parameter(name).grad
        assert (gradient is not None) == whole.requires_grad
        if gradient is not None:
            expected.setdefault(whole, torch.zeros_like(whole))[window] = gradient
            outside.setdefault(whole, torch.ones_like(whole, dtype=torch.bool))[window] = False
    assert expected
    for parameter in network.parameters():
        if parameter not in expected:
            assert parameter.grad is None
            continue
        assert parameter.grad is not None
        scale = max(1.0, float(expected[parameter].abs().max()))
        torch.testing.assert_close(parameter.grad, expected[parameter], rtol=0, atol=1e-6 * scale)
        assert not parameter.grad[outside[parameter]].any()


@each_space
def test_there_is_one_tensor_as_large_as_the_largest_for_each_name(name: str, n_rows: int) -> None:
    space = space_of(name)
    largest: dict[str, tuple[int, ...]] = {}
    for piece in space.pieces:
        for inner, parameter in piece.workload.build().named_parameters():
            key, shape = f"parts.{piece.weights}.{inner}", tuple(parameter.shape)
            largest[key] = tuple(map(max, largest.get(key, shape), shape))
    network = SharedNetwork(space)
    assert {n: tuple(p.shape) for n, p in network.named_parameters()} == largest
    rows = rows_of(space, 30 * n_rows)
    for row in rows:
        names = [piece.weights for piece in space.route(row)]
        assert len({*names}) == len(names)
        assert {*names} <= {*network.parts}
    if not isinstance(space, StitchSpace):
        ends = [[space.route(row)[i].weights for row in rows] for i in (0, -1)]
        assert [len({*some}) for some in ends] == [1, 1]  # one stem and one head


@each_space
def test_weights_of_a_network_are_its_windows(name: str, n_rows: int) -> None:
    space = space_of(name)
    network = varied(space)
    for row in rows_of(space, n_rows):
        alone = Trained(space, network, images_of(space, 4)).extract(row)
        of_name = {n: whole[window] for whole, window, n in windows_of(network, space.route(row))}
        assert of_name.keys() == dict(alone.named_parameters()).keys()
        for n, parameter in alone.named_parameters():
            assert_same(parameter, of_name[n])
            assert parameter.is_contiguous()  # as those of a built module: kernels depend on it


@pytest.mark.parametrize("name", ["digits-elastic", "recurrent", "tied", "fused", "frozen"])
def test_a_copy_made_after_a_step_has_weights_of_its_own(name: str) -> None:
    space = space_of(name)
    network = varied(space).train()
    x = images_of(space, 4).batch(np.arange(4))
    route = space.route(space.landmarks[-1])
    network(x, route).square().mean().backward()
    twin = copy.deepcopy(network)
    before = network(x, route).detach()
    assert_same(twin(x, route), before)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert_same(network(x, route), before)
    assert not twin(x, route).any()


def test_a_moving_average_of_a_supernet_is_one_of_each_network() -> None:
    """As `torch.optim.swa_utils` makes it: by deep copies, and by parameters in their order."""
    space = space_of("digits-elastic")
    network = varied(space).train()
    halves = get_ema_multi_avg_fn(0.5)  # type: ignore[no-untyped-call]  # torch leaves it so
    average = AveragedModel(network, multi_avg_fn=halves)
    before = [p.detach().clone() for p in network.parameters()]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    x = images_of(space, 8).batch(np.arange(8))
    average.update_parameters(network)  # the first one copies
    for row in rows_of(space, 3):
        optimizer.zero_grad()
        network(x, space.route(row)).square().mean().backward()
        optimizer.step()
    average.update_parameters(network)
    after = [*network.parameters()]
    assert any(not torch.equal(p, q) for p, q in zip(before, after, strict=True))
    expected = SharedNetwork(space)
    with torch.no_grad():
        for p, one, other in zip(expected.parameters(), before, after, strict=True):
            p.copy_((one + other) / 2)
    for row in rows_of(space, 3):
        route = space.route(row)
        torch.testing.assert_close(average.train()(x, route), expected.train()(x, route))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # on meta
@pytest.mark.parametrize("reentrant", [False, True])
def test_activations_that_are_computed_again_give_the_same_gradients(*, reentrant: bool) -> None:
    """Also where another network runs without gradients between the passes forth and back."""
    space = recomputed(reentrant=reentrant)
    network = varied(space).train()
    x = images_of(space, 4).batch(np.arange(4)).requires_grad_()
    row = space.landmarks[0]  # the smallest has windows that are not the whole
    route = space.route(row)
    gradients = []
    for between in (False, True):
        network.zero_grad()
        value = network(x, route).square().mean()
        if between:
            with torch.no_grad():
                network(x, route)
        value.backward()
        gradients.append([p.grad for piece in route for p in network.parameters_of(piece)])
    alone = Trained(space, network, images_of(space, 4)).extract(row).train()
    alone(x).square().mean().backward()
    check_gradients(network, space, row, alone)
    for one, other in zip(*gradients, strict=True):
        assert one is not None
        assert other is not None
        assert_same(one, other)


def test_weights_of_one_name_with_other_axes_are_refused_in_a_sentence() -> None:
    with pytest.raises(ContractError, match=r"'scale' has shapes \(4,\) and \(4, 4\)") as refused:
        SharedNetwork(of_images(Axes, axes=(1, 2)))
    assert "\n" not in str(refused.value)


def test_weights_that_are_modules_elsewhere_are_refused_in_a_sentence() -> None:
    with pytest.raises(ContractError, match="'scale' is a weight in some and a module in others"):
        SharedNetwork(of_images(Placed, whole=(True, False)))


@pytest.mark.parametrize("name", ["normed", "stateful", "recurrent", "fused"])
def test_all_of_a_supernet_is_cast_and_cast_back(name: str) -> None:
    """Statistics of norms are moved with all else, as a loop on another device needs."""
    space = space_of(name)
    network, x = varied(space).train(), images_of(space, 4).batch(np.arange(4))
    for row in rows_of(space, 3):
        route = space.route(row)
        wanted = copy.deepcopy(network)(x, route)  # whose state goes on with each pass
        y = network.double()(x.double(), route)
        assert y.dtype == torch.float64
        torch.testing.assert_close(y.float(), wanted, rtol=1e-3, atol=1e-4)
        assert network.float()(x, route).dtype == torch.float32


@pytest.mark.parametrize("name", ["digits-elastic", "fused"])
def test_windows_are_of_the_tensors_that_are_there_now(name: str) -> None:
    """Also of those that were put in the place of others, as loading may do."""
    space = space_of(name)
    network, other = varied(space), SharedNetwork(space)
    with torch.device("meta"):
        empty = SharedNetwork(space)
    empty.to_empty(device="cpu").load_state_dict(network.state_dict())
    other.load_state_dict(network.state_dict(), assign=True)
    x = images_of(space, 4).batch(np.arange(4))
    for row in rows_of(space, 3):
        route = space.route(row)
        for one in (empty, other):
            assert_same(one.train()(x, route), network.train()(x, route))
            one.zero_grad()
            one(x, route).square().sum().backward()
            assert all(p.grad is not None for piece in route for p in one.parameters_of(piece))


def test_the_seed_alone_decides_fresh_weights() -> None:
    space = space_of("digits-elastic")
    state = torch.random.get_rng_state()
    one, other = varied(space).state_dict(), varied(space).state_dict()
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, tensor in one.items():
        assert_same(tensor, other[name])


def test_every_block_of_a_fresh_supernet_starts_as_it_was_drawn() -> None:
    """Larger ones over smaller ones: no value of a weight is left at zero."""
    for name in ("digits-elastic", "own-net", "recurrent", "tied", "fused"):
        for inner, parameter in SharedNetwork(space_of(name)).named_parameters():
            if parameter.ndim > 1:
                assert (parameter != 0).all(), inner


def test_blocks_whose_norms_have_other_statistics_are_told_apart() -> None:
    """All norms are in blocks that share weights; they are calibrated all the same."""
    space = space_of("normed")
    one = trained(space, 200)
    images = one._train.batch(np.arange(200))
    for row in rows_of(space, 4):
        alone = one.extract(row)
        norms = [m for m in alone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert norms
        assert all(not norm.training for norm in norms)
        with torch.no_grad():
            torch.testing.assert_close(alone(images[:1]), alone(images)[:1], rtol=1e-4, atol=1e-5)
            as_in_training = copy.deepcopy(alone).train()(images)
            mean, wanted = alone(images).mean(), as_in_training.mean()
            torch.testing.assert_close(mean, wanted, rtol=1e-2, atol=1e-2)


def test_a_stage_may_be_of_one_block_and_one_width_at_once() -> None:
    space = of([Stage(Block, to=(4, 8)), Stage(Block, to=8, depth=(0, 2))])
    assert space.size == 4
    network = varied(space).train()
    x = images_of(space, 4).batch(np.arange(4))
    for row in np.concatenate(list(space.enumerate())):
        assert network(x, space.route(row)).shape == (4, 10)
