"""Windows of shared tensors: which part of each a module has."""

import numpy as np
import pytest
import torch
from own_shared import Frozen, Recurrent, Tied
from shared_spaces import assert_same, space_of, varied
from torch import nn

from tailorbird.errors import ContractError
from tailorbird.training import SharedNetwork
from tailorbird.training.shared.shared_tensors import SharedTensors
from tailorbird.training.shared.windows import WindowedModule


def counted(shape: torch.Size) -> torch.Tensor:
    """Values that say where in a tensor they stand."""
    return torch.arange(float(shape.numel())).reshape(shape)


def filled(*modules: nn.Module) -> tuple[SharedTensors, list[WindowedModule]]:
    shared = SharedTensors(modules)
    with torch.no_grad():
        for parameter in shared.parameters():
            parameter.copy_(counted(parameter.shape))
    return shared, [WindowedModule(module, shared) for module in modules]


@pytest.mark.parametrize(
    ("kernel", "first"), [(1, 3), (3, 2), (5, 1), (7, 0)], ids=lambda n: str(n)
)
def test_a_kernel_is_the_centre_of_a_larger_one(kernel: int, first: int) -> None:
    shared, (_, small) = filled(nn.Conv2d(6, 8, 7), nn.Conv2d(4, 5, kernel))
    whole = shared.get_parameter("weight")
    assert whole.shape == (8, 6, 7, 7)
    last = first + kernel
    plain = small.plain()
    assert_same(plain.get_parameter("weight"), whole[:5, :4, first:last, first:last])
    assert_same(plain.get_parameter("bias"), torch.arange(5.0))


def test_kernels_of_even_size_are_as_near_to_the_centre_as_can_be() -> None:
    _, (_, two, three) = filled(nn.Conv1d(1, 1, 5), nn.Conv1d(1, 1, 2), nn.Conv1d(1, 1, 3))
    assert two.plain().get_parameter("weight").tolist() == [[[1, 2]]]
    assert three.plain().get_parameter("weight").tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize(
    ("large", "small"),
    [
        (nn.Linear(6, 8), nn.Linear(3, 2)),
        (nn.ConvTranspose2d(6, 8, 1), nn.ConvTranspose2d(3, 2, 1)),
        (nn.Conv2d(6, 6, 1, groups=6), nn.Conv2d(4, 4, 1, groups=4)),
        (nn.Embedding(6, 8), nn.Embedding(5, 3)),
        (nn.LayerNorm((4, 8)), nn.LayerNorm((2, 3))),
    ],
    ids=lambda module: type(module).__name__,
)
def test_all_other_axes_begin_at_their_first_index(large: nn.Module, small: nn.Module) -> None:
    shapes = {name: p.shape for name, p in small.named_parameters()}
    shared, (_, windowed) = filled(large, small)
    for name, parameter in windowed.plain().named_parameters():
        assert parameter.shape == shapes[name]
        leading = tuple(slice(0, n) for n in parameter.shape)
        assert_same(parameter, shared.get_parameter(name)[leading])


def test_a_tensor_is_as_large_as_the_largest_along_each_axis() -> None:
    """One module is wider, and the other takes more."""
    shared, modules = filled(nn.Linear(6, 2), nn.Linear(3, 8))
    assert shared.get_parameter("weight").shape == (8, 6)
    assert modules[0].parameters == modules[1].parameters == [*shared.parameters()]


def test_a_tie_inside_a_module_stays_one() -> None:
    """And gradients of both places add up in one tensor."""
    network = varied(space_of("tied")).train()
    (tensors,) = [m for n, m in network.parts.items() if n == "stage0_0-Tied"]
    names = {name for name, _ in tensors.named_parameters()}
    assert names == {"first.weight", "first.bias", "second.bias"}
    space = space_of("tied")
    pieces = [p for p in space.pieces if p.weights == "stage0_0-Tied"]
    assert len(pieces) == 3
    x = torch.randn(2, 4, 8, 8)
    for piece in pieces:
        plain = network.module_of(piece)
        assert isinstance(plain, Tied)
        assert plain.first.weight is plain.second.weight
        assert plain.first.weight.shape[-1] == dict(piece.workload.params)["kernel"]
        assert_same(network.run(piece, x), plain(x))
        built = piece.workload.build()
        built.load_state_dict(plain.state_dict())
        assert_same(built(x), plain(x))


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_recurrent_layers_run_with_their_windows(cell: str) -> None:
    """They keep a list of their weights beside the parameters."""
    torch.manual_seed(0)
    modules = [Recurrent(4, inner, cell) for inner in (6, 3)]
    shared, (_, small) = filled(*modules)
    with torch.no_grad():
        for parameter in shared.parameters():
            nn.init.normal_(parameter, std=0.3)
    plain, x = small.plain(), torch.randn(2, 5, 4)
    assert isinstance(plain, Recurrent)
    built = Recurrent(4, 3, cell)
    built.load_state_dict(plain.state_dict())
    for _ in range(2):
        y = small(x)
        assert_same(y, plain(x))
        assert_same(y, built(x))
        for z in (y, plain(x)):
            z.square().mean().backward()
        for name, parameter in plain.named_parameters():
            whole = shared.get_parameter(name).grad
            assert whole is not None
            assert parameter.grad is not None
            leading = tuple(slice(0, n) for n in parameter.shape)
            torch.testing.assert_close(whole[leading], parameter.grad)
            assert whole.abs().sum() == pytest.approx(float(parameter.grad.abs().sum()), rel=1e-5)
        with torch.no_grad():  # as a step of an optimizer does, in place
            for parameter in shared.parameters():
                parameter.sub_(0.1)
                parameter.grad = None
        plain = small.plain()
        built.load_state_dict(plain.state_dict())


def test_what_is_frozen_stays_so_in_all_sizes() -> None:
    shared, modules = filled(Frozen(4, 8), Frozen(4, 6))
    learns = {name: p.requires_grad for name, p in shared.named_parameters()}
    assert learns == {
        "fixed.weight": False,
        "fixed.bias": False,
        "learned.weight": True,
        "learned.bias": True,
    }
    for module in modules:
        assert {n: p.requires_grad for n, p in module.plain().named_parameters()} == learns
    value = modules[1](torch.randn(2, 4, 8, 8)).mean()
    value.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
    assert {name for name, p in shared.named_parameters() if p.grad is not None} == {
        "learned.weight",
        "learned.bias",
    }


def test_weights_that_are_frozen_later_stay_as_they_are() -> None:
    """As whoever trains on with part of a supernet does."""
    space = space_of("digits-elastic")
    network = varied(space).train()
    for name, part in network.parts.items():
        part.requires_grad_("stage0_1" in name)
    x = torch.randn(2, 1, 8, 8)
    network(x, space.route(space.landmarks[0])).square().mean().backward()
    learned = {n for n, p in network.named_parameters() if p.grad is not None}
    assert learned
    assert all(".stage0_1-" in name for name in learned)
    piece = space.route(space.landmarks[0])[1]
    assert not any(p.requires_grad for p in network.module_of(piece).parameters())


def test_tensors_of_one_name_with_other_axes_are_refused() -> None:
    with pytest.raises(ContractError, match=r"'weight' has shapes \(4, 4\) and \(4, 4, 3, 3\)"):
        SharedTensors([nn.Linear(4, 4), nn.Conv2d(4, 4, 3)])


def test_a_network_trains_on_after_it_was_extracted_from() -> None:
    """Extraction fills a module with copies; they must not stay in the supernet."""
    space = space_of("digits-elastic")
    network = SharedNetwork(space).train()
    x = torch.randn(4, 1, 8, 8)
    for row in space.sample(3, np.random.default_rng(0)):
        route = space.route(row)
        plain = nn.Sequential(*(network.module_of(piece) for piece in route))
        network(x, route).mean().backward()
        learned = {n for n, p in network.named_parameters() if p.grad is not None}
        assert {n.split(".")[1] for n in learned} == {piece.weights for piece in route}
        own = {p.data_ptr() for p in plain[1].parameters()}  # a block, of whose weights it has some
        assert own.isdisjoint(p.data_ptr() for p in network.parameters())
        network.zero_grad()
