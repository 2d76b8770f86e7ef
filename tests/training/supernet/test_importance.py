"""Units are sorted by importance, and the largest network computes what it did before."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from own_net import Stem, of
from own_shared import of_images, of_tokens
from shared_spaces import OWN, SHIPPED, images_of, space_of, varied
from torch import Tensor, nn

from tailorbird.errors import ContractError
from tailorbird.spaces import SharedSpace, Stage
from tailorbird.spaces.elastic.modules import ElasticResidualBlock
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training import SharedNetwork
from tailorbird.training.supernet.importance import ImportanceInputs, l1, sort, taylor
from tailorbird.training.supernet.sortable_units import units_of
from tailorbird.training.supernet.tied_axes import tied_axes
from tailorbird.training.supernet.units import Units

UNSORTED = {"fbnet", "recurrent", "regnet", "stateful"}
"""Those with groups of channels, gates above each other, or buffers by channel."""

Residual = partial(Stage, ElasticResidualBlock, inner=0.5)
LARGE = {"elastic-vit", "fbnet", "mobile-elastic", "ofa-mobilenetv3", "regnet"}
CHAINS = [name for name in (*SHIPPED, *OWN) if name != "digits-resnet"]  # which is stitched
SORTED = [name for name in CHAINS if name not in UNSORTED]


class Attention(nn.Module):
    """Attention of tokens (n, tokens, width) by heads of four channels, with a small network."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, 4 * heads) for _ in range(3))
        self.project = nn.Linear(4 * heads, width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            layer(x).unflatten(2, (self.heads, 4)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.norm(x + self.project(y))
        z: Tensor = x + self.down(F.gelu(self.up(x)))
        return z


class Scaled(Attention):
    """Begins as what it is given, nearly, as blocks with LayerScale do."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__(width, heads, hidden)
        self.scale = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.scale * super().forward(x)
        return y


class Blurred(nn.Module):
    """A block with a fixed kernel that is neither parameter nor buffer, and stays in float32."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up, self.down = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)
        self.kernel = torch.ones(inner, 1, 3, 3) / 9

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(self.up(x), self.kernel, padding=1, groups=len(self.kernel))
        z: Tensor = x + self.down(y.relu())
        return z


def largest(space: SharedSpace, network: SharedNetwork, x: Tensor) -> Tensor:
    """What the largest network answers in training mode, by statistics of the images."""
    with torch.no_grad():
        y: Tensor = network.train()(x, space.route(smallest_and_largest(space)[1]))
        return y


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.slow if n == "ofa-mobilenetv3" else pytest.mark.long)
        if n in LARGE
        else n
        for n in SORTED
    ],
)
def test_sorting_keeps_what_the_largest_network_computes(name: str) -> None:
    space = space_of(name)
    network, split = varied(space), images_of(space, 8)
    x = split.batch(np.arange(8))
    torch.manual_seed(0)
    before = largest(space, network, x)
    weights = {n: w.clone() for n, w in network.named_parameters()}
    sort(space, network, split, "l1")
    torch.manual_seed(0)
    after = largest(space, network, x)
    assert float((after - before).abs().max()) <= 1e-5 * float(before.abs().max())
    moved = [n for n, w in network.named_parameters() if not torch.equal(w, weights[n])]
    assert bool(moved) == bool(units_of(space))
    for n in moved:  # values change places, nothing else
        assert torch.equal(
            *(w.flatten().sort().values for w in (network.get_parameter(n), weights[n]))
        )


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in LARGE else ()) for n in SORTED]
)
def test_sorted_units_stand_in_the_order_of_their_weights(name: str) -> None:
    space = space_of(name)
    network, split = varied(space), images_of(space, 2)
    sort(space, network, split, "l1")
    route = space.route(smallest_and_largest(space)[1])
    (sizes,) = l1(ImportanceInputs(network, route, split))
    for units in units_of(space):
        total = np.zeros(units.n)
        for axis in units.parts:
            if (axis.weights, axis.tensor) in sizes:
                values = sizes[axis.weights, axis.tensor].double().movedim(axis.axis, 0)
                total += values[units.parts[axis]].flatten(1).sum(dim=1).numpy()
        assert (np.diff(total) <= 1e-9 * total.max()).all()


@pytest.mark.parametrize("name", ["recurrent", "stateful"])
def test_axes_that_have_no_other_order_are_refused(name: str) -> None:
    space = space_of(name)
    network, split = varied(space), images_of(space, 2)
    before = {n: w.clone() for n, w in network.named_parameters()}
    with pytest.raises(ContractError, match=r"axis \d of '.*' of .* cannot be sorted\. Take impo"):
        sort(space, network, split, "l1")
    assert all(torch.equal(w, before[n]) for n, w in network.named_parameters())
    sort(space, network, split, "none")
    assert all(torch.equal(w, before[n]) for n, w in network.named_parameters())


def test_modules_that_run_in_float32_alone_are_refused() -> None:
    space = of_images(Blurred, inner=(4, 8))
    network, split = varied(space), images_of(space, 2)
    law = (
        r"must run in float64 .* but stage0_\d-Blurred does not \(.*\)\. Take importance = \"none\""
    )
    with pytest.raises(ContractError, match=law):
        sort(space, network, split, "l1")
    sort(space, network, split, "none")


@pytest.mark.parametrize("name", ["fbnet", "regnet"])
@pytest.mark.long
def test_channels_of_groups_have_no_other_order(name: str) -> None:
    with pytest.raises(ContractError, match=r"axis 1 of '.*conv.weight' of .* cannot be sorted"):
        units_of(space_of(name))


@pytest.mark.parametrize("block", [Attention, Scaled])
def test_heads_are_units_and_so_are_channels(block: type[nn.Module]) -> None:
    space = of_tokens(block, heads=(2, 3, 6), hidden=(5, 24))
    found = {(units.n, len(units.parts)) for units in units_of(space)}
    assert found == {(6, 7), (24, 3)}  # axes of weights and of biases
    names = {t.variable: {a.tensor for a in t.axes} for t in tied_axes(space)}
    assert names["hidden0_0"] == {"up.weight", "up.bias", "down.weight"}
    split, network = images_of(space, 4), varied(space)
    x = split.batch(np.arange(4))
    before = largest(space, network, x)
    for importance in ("l1", "taylor"):
        sort(space, network, split, importance)
        after = largest(space, network, x)
        assert float((after - before).abs().max()) <= 1e-5 * float(before.abs().max())


def test_an_elastic_stream_is_sorted_through_all_of_its_blocks() -> None:
    space = space_of("digits-elastic")
    (stream,) = (ties for ties in tied_axes(space) if ties.variable == "to0")
    assert len({axis.weights for axis in stream.axes}) == 7  # six blocks and the head
    assert {a.tensor for a in stream.axes if a.weights.startswith("last")} == {"linear.weight"}
    shortcut = {a.tensor for a in stream.axes if a.tensor.startswith("shortcut")}
    assert shortcut == {"shortcut.0.weight", "shortcut.1.weight", "shortcut.1.bias"}


@pytest.mark.parametrize(
    ("stages", "n_units"),
    [
        ([Residual(to=(4, 8), depth=(1, 2))], {4, 8}),
        # What the second stage's block reads is as large as what is inside it.
        ([Residual(to=(2, 8), depth=(1, 2)), Residual(to=(8, 16))], {4, 8, 16}),
    ],
)
def test_shortcuts_go_with_the_stream_and_not_with_what_is_as_large_by_chance(
    stages: list[Stage], n_units: set[int]
) -> None:
    space = of(stages, partial(Stem, to=4))
    assert {units.n for units in units_of(space)} == n_units
    split, network = images_of(space, 8), varied(space)
    x = split.batch(np.arange(8))
    before = largest(space, network, x)
    sort(space, network, split, "l1")
    after = largest(space, network, x)
    assert float((after - before).abs().max()) <= 1e-5 * float(before.abs().max())


def test_first_order_importance_is_what_a_unit_contributes_to_the_loss() -> None:
    space = of_tokens(Attention, heads=2, hidden=(3, 8))
    split, network = images_of(space, 6), varied(space)
    route = space.route(smallest_and_largest(space)[1])
    (values,) = taylor(ImportanceInputs(network, route, split))
    units, _ = units_of(space)  # of the first block and of the second
    name = next(axis.weights for axis in units.parts)
    told = values[name, "down.weight"].sum(dim=0)  # of the column that reads each unit

    weight = network.windows_of(route[1])["down.weight"][0]
    labels, x, step = torch.from_numpy(split.labels), split.batch(np.arange(6)), 1e-3
    for unit in range(units.n):
        losses = []
        for scale in (1 + step, 1 - step):
            kept = weight.detach().clone()
            weight.data[:, unit] *= scale
            losses.append(F.cross_entropy(largest(space, network, x).double(), labels))
            weight.data.copy_(kept)
        slope = (losses[0] - losses[1]) / (2 * step)
        assert float(told[unit]) == pytest.approx(float(slope), rel=0.05, abs=2e-4)


def test_units_put_blocks_of_indices_into_an_order() -> None:
    (axis, *_), *_ = (t.axes for t in tied_axes(space_of("digits-elastic")))
    units = Units(4, {axis: np.arange(32).reshape(4, 8)})
    order = units.indices(np.array([3, 0, 1, 2]), axis)
    assert order.tolist() == [*range(24, 32), *range(24)]


def test_importance_that_is_not_finite_sorts_nothing() -> None:
    space = space_of("digits-elastic")
    network, split = varied(space), images_of(space, 2)
    network.get_parameter("parts.stage0_1-ElasticResidualBlock.first.weight").data[3] = torch.inf
    before = {n: w.clone() for n, w in network.named_parameters()}
    with pytest.raises(ContractError, match="Importance must be finite, but for units"):
        sort(space, network, split, "l1")
    assert all(torch.equal(w, before[n]) for n, w in network.named_parameters())


def test_no_importance_of_that_name() -> None:
    space = space_of("digits-elastic")
    with pytest.raises(ContractError, match="no importance 'l3'; did you mean 'l1'"):
        sort(space, varied(space), images_of(space, 2), "l3")
