"""Plain Python of networks: it computes the same, and needs torch alone."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tailorbird import spaces
from tailorbird.errors import ExportError
from tailorbird.export.about import About
from tailorbird.export.plain_module import plain_module
from tailorbird.export.program import programmed
from tailorbird.spaces.stitching import StitchSpace

SMALL = ("digits-resnet", "digits-elastic", "cifar-resnet", "nasbench201", "macro-mobilenetv2")
LARGE = (
    *("cifar-elastic", "elastic-resnet", "elastic-vit", "fbnet", "mobile-elastic"),
    *("efficientnet-lite-0-1-2", "ofa-mobilenetv3", "regnet", "resnet-18-50"),
)
LARGEST = ("deit-ti-s-b", "deit3-s-l", "swin-ti-s-b")


def made(network: nn.Module, shape: tuple[int, ...]) -> tuple[nn.Module, str, int | None]:
    """The network of the text that is written for another, with its weights."""
    program = programmed(network, shape)
    plain = plain_module(network, program.graph)
    names: dict[str, type[nn.Module]] = {"torch": torch, "nn": nn}  # type: ignore[dict-item]  # modules
    exec(plain.source, names)
    other = names["Network"]()
    state = {**network.state_dict(), **plain.constants}
    other.load_state_dict({n: t for n, t in state.items() if n in other.state_dict()})
    return other.eval(), plain.source, program.fixed_batch


def check(network: nn.Module, shape: tuple[int, ...]) -> str:
    other, source, fixed_batch = made(network.eval(), shape)
    torch.manual_seed(0)
    for n in (1, 5) if fixed_batch is None else (fixed_batch,):
        x = torch.randn(n, *shape[1:])
        with torch.inference_mode():
            assert torch.equal(other(x), network(x))
    return source


@pytest.mark.parametrize(
    "name",
    [
        *SMALL,
        *(pytest.param(name, marks=pytest.mark.long) for name in LARGE),
        *(pytest.param(name, marks=pytest.mark.slow) for name in LARGEST),
    ],
)
def test_networks_of_every_space_are_the_same(name: str) -> None:
    space = spaces.get(name, batch=2)
    row = space.sample(1, np.random.default_rng(0))[0]
    source = check(space.build(row), space.input_shape)
    assert "tailorbird" not in source


def test_blocks_that_are_alike_are_one_class() -> None:
    space = spaces.get("digits-resnet")
    source = check(space.build(space.landmarks[-1]), space.input_shape)
    assert source.count("class Block") == 1
    assert source.count("Block(),") == 6


class Odd(nn.Module):
    """What people write: layers in lists, called twice, constants, and a plain size."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.norm = nn.LayerNorm(4)
        self.register_buffer("mask", torch.tensor([1.0, 0.0, 2.0, 1.0]), persistent=False)
        self.shift = torch.tensor(0.5)
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x.flatten(1))
        for layer in self.layers:
            y = self.norm(torch.relu(layer(y))) * self.mask
        z: Tensor = y.clamp(max=float("inf")) * self.weight + self.shift - 1 / 3
        return z


class Network(nn.Module):
    """Names that a file has already, and names that Python does not take."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.ModuleList([nn.ModuleList([nn.Linear(4, 4)]), nn.ModuleList([nn.ReLU()])])
        self.scales = nn.ParameterList([nn.Parameter(torch.full((4,), 2.0))])
        self.named = nn.ModuleDict({"not-plain": nn.Linear(4, 4)})
        self.l = nn.Linear(4, 4)
        self.l_2 = nn.Linear(4, 4)
        self.unused = nn.Linear(4, 4)
        self.seq = nn.Sequential(OrderedDict(first=nn.Linear(4, 4), second=nn.ReLU()))[0:]

    def forward(self, x: Tensor) -> Tensor:
        y = x.flatten(1)
        for row in self.rows:
            y = row[0](y) * self.scales[0]  # type: ignore[index]  # a list
        y = self.named["not-plain"](y)
        z: Tensor = self.seq(self.l(self.l_2(self.l_2(y))))
        return z


class Keyword(nn.Module):
    """A name that torch itself cannot write down."""

    def __init__(self) -> None:
        super().__init__()
        self.named = nn.ModuleDict({"in": nn.Linear(4, 4)})

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.named["in"](x.flatten(1))
        return y


class Fixed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) + torch.zeros(len(x), 4)


def test_odd_modules_are_the_same() -> None:
    torch.manual_seed(0)
    source = check(nn.Sequential(Odd(), Odd(), nn.ReLU()), (2, 1, 2, 2))
    assert source.count("class Odd") == 1


def test_odd_names_are_the_same() -> None:
    torch.manual_seed(0)
    check(nn.Sequential(Network(), Network()), (2, 1, 2, 2))


def test_layers_with_hooks_are_written_as_they_run() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(4, 4)
    layer.register_forward_hook(lambda module, given, y: y + 1)
    check(nn.Sequential(nn.Flatten(), layer), (2, 1, 2, 2))


def test_doubles_are_the_same_but_for_what_they_take() -> None:
    layer = nn.Linear(4, 4).double()
    program = programmed(nn.Sequential(nn.Flatten(), layer).eval(), (2, 1, 2, 2), torch.float64)
    assert "torch.float64" in plain_module(program.network, program.graph).source


def test_what_cannot_be_written_is_told_with_its_format(
    digits_space: StitchSpace, tmp_path: Path
) -> None:
    network = nn.Sequential(Keyword()).eval()
    program = programmed(network, (2, 1, 2, 2))
    files = {"python": tmp_path / "n.py", "safetensors": tmp_path / "n.safetensors"}
    about = About(digits_space, digits_space.landmarks[0])
    with pytest.raises(ExportError, match="cannot be written as plain Python") as caught:
        program.write(files, about, "0" * 16)
    assert caught.value.form == "python"
    program.write({"safetensors": files["safetensors"]}, about, "0" * 16)
    assert [path.name for path in tmp_path.iterdir()] == ["n.safetensors"]


def test_a_module_that_fixes_its_batch_keeps_it() -> None:
    _, _, fixed_batch = made(nn.Sequential(Fixed()), (3, 1, 2, 2))
    assert fixed_batch == 3
