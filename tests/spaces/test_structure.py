"""Digests of modules, by which tables tell changed ones from those that were measured."""

import pickle
from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from tailorbird.errors import ContractError
from tailorbird.spaces import Workload
from tailorbird.spaces.structure import digested, exportable

SHAPE = (1, 4, 8, 8)


class Of(nn.Module):
    """A module that does what a function of a convolution and its input says."""

    def __init__(self, what: Callable[[nn.Module, Tensor], Tensor], kernel: int = 3) -> None:
        super().__init__()
        self.conv, self.what = nn.Conv2d(4, 4, kernel, padding=kernel // 2), what

    def forward(self, x: Tensor) -> Tensor:
        return self.what(self.conv, x)


def twice(conv: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = conv(conv(x))
    return y + x


def from_inside(conv: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = conv(x)
    z: Tensor = conv(y)
    return z + y


MODULES = {
    "plain": Of(lambda conv, x: conv(x)),
    "another kernel": Of(lambda conv, x: conv(x), kernel=5),
    "relu": Of(lambda conv, x: torch.relu(conv(x))),
    "gelu": Of(lambda conv, x: nn.functional.gelu(conv(x))),
    "relu before": Of(lambda conv, x: conv(torch.relu(x))),
    "slope": Of(lambda conv, x: nn.functional.leaky_relu(conv(x), 0.1)),
    "another slope": Of(lambda conv, x: nn.functional.leaky_relu(conv(x), 0.2)),
    "shortcut": Of(twice),
    "another shortcut": Of(from_inside),
}


def digest(module: nn.Module, shape: tuple[int, ...] = SHAPE) -> str:
    with torch.no_grad():
        return digested(lambda: module(torch.empty(shape)))[1]


@pytest.mark.parametrize(("one", "other"), [*combinations(MODULES, 2)])
def test_what_computes_something_else_has_another_digest(one: str, other: str) -> None:
    assert digest(MODULES[one]) != digest(MODULES[other])
    assert digest(MODULES[one]) != digest(MODULES[one], (1, 4, 8, 9))


def test_weights_and_repetition_leave_a_digest_as_it_is() -> None:
    for name in ("plain", "shortcut"):
        again = Of(MODULES[name].what)
        assert digest(MODULES[name]) == digest(again) == digest(MODULES[name])


def test_where_an_argument_lies_in_memory_has_no_part() -> None:
    def noisy(conv: nn.Module, x: Tensor) -> Tensor:
        y: Tensor = conv(x)
        return y + torch.rand(1, generator=generators[-1])

    generators = [torch.Generator()]
    before = digest(Of(noisy))
    generators.append(torch.Generator())
    assert digest(Of(noisy)) == before


def test_a_workload_of_a_module_keeps_the_module_as_it_was() -> None:
    module = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Dropout())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    workload = Workload.from_module("mine", module, SHAPE)
    assert workload.key.startswith("mine()[1x4x8x8]f32#")
    built = workload.build()
    assert built is not module
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert pickle.loads(pickle.dumps(workload)) == workload
    other = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Dropout())
    assert Workload.from_module("mine", other, SHAPE) == workload
    assert Workload.from_module("mine", nn.Conv2d(4, 4, 3), SHAPE) != Workload.from_module(
        "mine", nn.Conv2d(4, 4, 1), SHAPE
    )


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Of(lambda conv, x: (x, conv(x))), "gives 2 in a tuple"),  # type: ignore[arg-type,return-value]
        (Of(lambda conv, x: x if conv(x).sum() > 0 else -x), "torch.export takes, but mine"),
        (nn.Linear(3, 3), r"mine with inputs of shape \(1, 4, 8, 8\) is not"),
    ],
)
def test_what_cannot_be_exported_is_named(module: nn.Module, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        exportable(module, (SHAPE,), "mine")
