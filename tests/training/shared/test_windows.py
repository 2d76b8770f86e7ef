"""Windows of shared tensors: which part of each a module has."""

from typing import Any

import numpy as np
import pytest
import torch
from own_shared import Frozen, Fused, Recurrent, Tied
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


def test_fused_layers_have_the_first_heads_of_each_of_their_parts() -> None:
    shared, (small, _) = filled(Fused(4, heads=2), Fused(4, heads=3))
    plain = small.plain().eval()
    assert shared.get_parameter("qkv.weight").shape == (18, 4)
    rows = [0, 1, 2, 3, 6, 7, 8, 9, 12, 13, 14, 15]  # two heads of two, of three, thrice
    assert plain.get_parameter("qkv.bias").tolist() == rows
    assert plain.get_parameter("qkv.weight")[:, 0].tolist() == [4.0 * row for row in rows]
    assert_same(
        plain.get_parameter("project.weight"), shared.get_parameter("project.weight")[:, :4]
    )


class Saying(nn.Module):
    """A layer that says windows as it was told."""

    def __init__(self, inputs: int, outputs: int, said: dict[str, Any]) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, outputs)
        self.said = said

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x)
        return y

    def windows(self, name: str, shape: tuple[int, ...]) -> Any:
        answer = self.said.get(name)
        return answer(shape) if callable(answer) else answer


def test_windows_may_be_any_indices_in_any_order_along_several_axes() -> None:
    said = {"layer.weight": ([5, 0, 3], np.array([4, 1])), "layer.bias": (range(5, 2, -1),)}
    shared, (_, windowed) = filled(Saying(6, 6, {}), Saying(2, 3, said))
    whole = shared.get_parameter("layer.weight")
    plain = windowed.plain()
    assert_same(plain.get_parameter("layer.weight"), whole[[5, 0, 3]][:, [4, 1]])
    assert plain.get_parameter("layer.bias").tolist() == [5, 4, 3]
    x = torch.randn(7, 2)
    assert_same(windowed(x), plain(x))
    for y in (windowed(x), plain(x)):
        y.square().mean().backward()
    own = plain.get_parameter("layer.weight").grad
    assert own is not None
    assert whole.grad is not None
    assert_same(whole.grad[[5, 0, 3]][:, [4, 1]], own)
    assert whole.grad.count_nonzero() == 6


def test_a_fresh_weight_is_drawn_where_its_module_says_that_it_is() -> None:
    narrow = Saying(3, 2, {"layer.weight": [[4, 2], range(3)]})
    tall = Saying(1, 5, {})
    drawn = [one.layer.weight.detach().clone() for one in (narrow, tall)]
    whole = SharedTensors([narrow, tall]).get_parameter("layer.weight")
    assert_same(whole[:, :1], drawn[1])  # larger ones over smaller ones
    assert_same(whole[[4, 2], 1:], drawn[0][:, 1:])
    assert not whole[[0, 1, 3], 1:].any()


def test_windows_of_neighbouring_indices_are_slices_wherever_they_begin() -> None:
    said = {"layer.weight": lambda shape: (range(shape[0] - 2, shape[0]), [1, 2])}
    shared, (_, windowed) = filled(Saying(3, 5, {}), Saying(2, 2, said))
    plain = windowed.plain()
    assert_same(plain.get_parameter("layer.weight"), shared.get_parameter("layer.weight")[3:, 1:])
    assert plain.get_parameter("layer.bias").tolist() == [0, 1]  # of which nothing is said


def test_the_innermost_module_that_says_a_window_is_heard() -> None:
    class Outer(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.inner = Saying(2, n, {"layer.bias": lambda shape: [range(shape[0] - n, shape[0])]})

        def windows(self, name: str, shape: tuple[int, ...]) -> Any:
            n = len(self.inner.layer.bias)
            first = min(1, shape[0] - n)
            return [range(first, first + n), range(2)][: len(shape)]

    shared, (_, windowed) = filled(Outer(5), Outer(3))
    plain = windowed.plain()
    assert plain.get_parameter("inner.layer.bias").tolist() == [2, 3, 4]
    whole = shared.get_parameter("inner.layer.weight")
    assert_same(plain.get_parameter("inner.layer.weight"), whole[1:4])


def test_a_child_that_is_called_windows_says_none() -> None:
    one = nn.ModuleDict({"windows": nn.Linear(4, 6)})
    shared, (_, small) = filled(one, nn.ModuleDict({"windows": nn.Linear(4, 3)}))
    assert_same(
        small.plain().get_parameter("windows.weight"), shared.get_parameter("windows.weight")[:3]
    )


REFUSED: list[tuple[Any, str]] = [
    ([[0, 1, 2]], r"gave \[\[0, 1, 2\]\] for a weight of shape \(3, 2\)"),
    ("weight", "gave 'weight'"),
    ([[0, 1], [0, 1]], "gave 2 indices for axis 0"),
    ([[0, 1, 6], [0, 1]], "gave indices from 0 to 6 for axis 0"),
    ([[0, 1, 2], [-1, 0]], "gave indices from -1 to 0 for axis 1"),
    ([[0, 1, 1], [0, 1]], "gave an index twice for axis 0"),
    ([[0, 1, 2], [0.0, 1.0]], r"gave \[0.0, 1.0\] for axis 1"),
    ([[0, 1, 2], "ab"], "gave 'ab' for axis 1"),
    ([[0, 1, [2]], [0, 1]], r"gave \[0, 1, \[2\]\] for axis 0"),
    ([slice(0, 3), slice(0, 2)], r"gave slice\(0, 3, None\) for axis 0"),
    (lambda shape: shape[3], r"had of every weight, but Saying.windows.* failed \(IndexError"),
]


@pytest.mark.parametrize(("said", "message"), REFUSED, ids=[text for _, text in REFUSED])
def test_what_is_no_window_is_refused_in_a_sentence(said: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message) as refused:
        SharedTensors([Saying(6, 6, {}), Saying(2, 3, {"layer.weight": said})])
    assert "Saying.windows('layer.weight', (6, 6))" in str(refused.value)
    assert "\n" not in str(refused.value)


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
