"""Modules that have nothing in common but a latency table."""

import pickle
import threading
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from contracts.space import SpaceContract
from torch import Tensor, nn

from tailorbird.errors import ContractError
from tailorbird.spaces import SearchSpace, Workload
from tailorbird.spaces.footprint import footprint
from tailorbird.spaces.programs import Programs
from tailorbird.spaces.trial import check_workloads


class Sum(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class Scaled(nn.Module):
    """Keeps a tensor that is no buffer, and makes another one on the way."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor, self.offset = factor, torch.arange(4.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x + self.offset + torch.ones(4)


class Conditional(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Any:
        return torch.cond(x.sum() > 0, lambda x: x * self.factor, lambda x: x + 1, (x,))


class Recurrent(nn.LSTM):
    def forward(self, x: Tensor) -> Any:  # type: ignore[override]
        return super().forward(x)[0]


class Tuple(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return x, x


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Exits(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise SystemExit(1)


class Locked(nn.Identity):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return 3


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


class NotANumber(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 0 * 0


def linear(width: int = 4) -> nn.Module:
    return nn.Linear(width, width)


class TestPrograms(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        modules = {"small": (linear(), (2, 4)), "large": (linear(8), [2, 8])}
        return Programs("some", modules)

    def test_the_smallest_network_takes_the_input(self, space: SearchSpace) -> None:
        for workload, row in zip(space.workloads, space.landmarks, strict=True):
            with torch.inference_mode():
                assert len(space.build(row)(torch.zeros(workload.inputs[0]))) == 2

    def test_networks_compute_what_their_workloads_do(self, space: SearchSpace) -> None:
        assert space.count_workloads(space.landmarks).toarray().tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("row", [[2], [-1], [0, 0]])
def test_rows_of_no_module_are_refused(row: list[int]) -> None:
    space = Programs("some", {"a": (linear(), (1, 4)), "b": (linear(), (1, 4))})
    for asked in (space.build, space.describe):
        with pytest.raises(ValueError, match="some"):
            asked(np.array(row))


def key(module: nn.Module, *inputs: tuple[int, ...], name: str = "it") -> str:
    return Workload.from_module(name, module, *inputs or ((1, 4),)).key


def test_keys_tell_structures_apart_and_not_weights() -> None:
    assert key(linear()) == key(linear())
    assert key(linear()).startswith("it()[")
    others = [
        key(linear()),
        key(linear(), name="another"),
        key(linear(), (2, 4)),
        key(nn.Linear(4, 4, bias=False)),
        key(nn.Sequential(linear(), nn.ReLU())),
        key(nn.Sequential(linear(), nn.GELU())),
        key(Scaled(2.0)),
        key(Scaled(3.0)),
        key(Sum(), (1, 4), (1, 4)),
    ]
    assert len({*others}) == len(others)


@pytest.mark.long
def test_keys_tell_what_stands_behind_a_condition() -> None:
    assert key(Conditional(2.0)) != key(Conditional(3.0))


@pytest.mark.parametrize(
    ("module", "inputs"),
    [
        (Sum(), ((1, 4), (1, 4))),
        (Scaled(2.0), ((1, 4),)),
        (nn.ReLU(inplace=True), ((1, 4),)),
        (nn.Sequential(nn.BatchNorm1d(4), nn.Dropout()), ((2, 4),)),
        (Recurrent(4, 4), ((1, 2, 4),)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_modules_are_copied_and_left_as_they_are(
    module: nn.Module, inputs: tuple[tuple[int, ...], ...], capfd: pytest.CaptureFixture[str]
) -> None:
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        workload = Workload.from_module("it", module, *inputs)
    check_workloads([workload])
    assert footprint(workload.build(), inputs).peak_activation_bytes > 0
    built = workload.build()
    assert built is not module
    assert module.training
    for name, tensor in built.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert tensor.data_ptr() != module.state_dict()[name].data_ptr()
    again = pickle.loads(pickle.dumps(workload))
    assert (again, again.key) == (workload, workload.key)
    assert [*again.build().state_dict()] == [*before]
    assert capfd.readouterr() == ("", "")


WRONG: dict[str, tuple[Any, str]] = {
    "no dict": ([(linear(), (1, 4))], r'must be given as {"name": \(module, input shape\), ...}'),
    "nothing": ({}, "one at least, but got {}"),
    "number": ({3: (linear(), (1, 4))}, "Names of programs must be texts, but got 3"),
    "no name": ({"": (linear(), (1, 4))}, "`op` must be a printable text"),
    "lines": ({"a\nb": (linear(), (1, 4))}, "`op` must be a printable text"),
    "no pair": ({"it": linear()}, "must be a torch module with the shape .*, but 'it' is Linear"),
    "class": ({"it": (nn.Linear, (1, 4))}, "must be a torch module with the shape"),
    "no shape": ({"it": (linear(), "1x4")}, "must be a torch module with the shape"),
    "empty shape": ({"it": (linear(), (0, 4))}, "positive integers, but that of 'it' is"),
    "fraction": ({"it": (linear(), (1.0, 4))}, "positive integers, but that of 'it' is"),
    "deep shape": ({"it": (linear(), (((1, 4),),))}, "positive integers, but that of 'it' is"),
    "other shape": ({"it": (linear(), (1, 5))}, r"it with inputs of shape \(1, 5\) is not"),
    "tuple": ({"it": (Tuple(), (1, 4))}, "must give one tensor, but it gives 2 in a tuple"),
    "branches": ({"it": (Branches(), (1, 4))}, "must be a module that torch.export takes, but it"),
    "exit": ({"it": (Exits(), (1, 4))}, r"torch.export takes, but it .* \(SystemExit: 1\)"),
    "lock": ({"it": (Locked(), (1, 4))}, r"must be fit for copy\.deepcopy, but 'it' is not"),
    "lazy": ({"it": (nn.LazyLinear(3), (1, 4))}, "'weight' of 'it' is lazy"),
    "half": ({"it": (linear().half(), (1, 4))}, "'weight' of 'it' is torch.float16"),
    "constant": ({"it": (Constant(), (1, 4))}, "must give tensors of floats, but it.* gave int"),
    "noise": ({"it": (Noise(), (1, 4))}, "must give the same for the same input"),
    "NaN": ({"it": (NotANumber(), (1, 4))}, "Outputs must be finite, but some of it"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_measured_is_refused_in_a_sentence(
    wrong: str, capfd: pytest.CaptureFixture[str]
) -> None:
    modules, law = WRONG[wrong]
    with pytest.raises(ContractError, match=law) as caught:
        check_workloads(Programs("some", modules).workloads)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
