import numpy as np
import pytest
import torch
from torch import nn

from tailorbird import spaces
from tailorbird.spaces.footprint import Footprint, footprint, n_macs, network_costs
from tailorbird.spaces.stitching import StitchSpace


def test_a_chain_holds_two_tensors_at_once() -> None:
    module = nn.Sequential(nn.Linear(10, 100), nn.ReLU(), nn.Linear(100, 20))
    expected = Footprint(
        n_macs=3 * (10 * 100 + 100 * 20),
        n_params=1100 + 2020,
        weight_bytes=4 * (1100 + 2020),
        peak_activation_bytes=4 * 3 * (100 + 100),  # before and after the rectifier
    )
    assert footprint(module, ((3, 10),)) == expected


def test_a_shortcut_keeps_its_input_alive_and_a_view_costs_nothing() -> None:
    class Shortcut(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.relu(x).reshape(2, 4).t()
            return x + torch.exp(y).reshape(8)

    # x, relu(x) and exp(relu(x)) live together; transposing did not copy, reshaping it back did.
    assert footprint(Shortcut(), ((8,),)).peak_activation_bytes == 4 * 8 * 3


def test_what_a_batch_norm_remembers_is_stored_but_not_learned() -> None:
    counted = footprint(nn.BatchNorm2d(6), ((2, 6, 3, 3),))
    assert counted.n_params == 12
    assert counted.weight_bytes == 4 * 24 + 8


def test_macs_grow_with_the_batch_and_weights_do_not(digits_space: StitchSpace) -> None:
    one = spaces.get("digits-resnet", batch=1)
    for small, large in zip(one.workloads, digits_space.workloads, strict=True):
        a, b = (footprint(w.build(), w.inputs) for w in (small, large))
        assert b.n_macs == 2 * a.n_macs
        assert b.weight_bytes == a.weight_bytes
        assert b.peak_activation_bytes == 2 * a.peak_activation_bytes


@pytest.mark.parametrize("name", ["digits-resnet", "macro-mobilenetv2", "nasbench201"])
def test_costs_of_networks_are_those_of_the_modules_that_are_built(name: str) -> None:
    space = spaces.get(name, batch=2)
    X = space.sample(5, np.random.default_rng(0))
    with torch.device("meta"):
        built = [space.build(row).eval() for row in X]
    expected = [
        (n_macs(network, (space.input_shape,)), sum(p.numel() for p in network.parameters()))
        for network in built
    ]
    np.testing.assert_array_equal(network_costs(space, X), expected)
