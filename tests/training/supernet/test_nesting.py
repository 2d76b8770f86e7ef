"""Units along axes of which smaller networks have any nested indices."""

from typing import Any

import numpy as np
import pytest
import torch.nn.functional as F
from own_shared import Fused, of_tokens
from shared_spaces import images_of, varied
from torch import Tensor, nn

from tailorbird.errors import ContractError
from tailorbird.spaces import SharedSpace
from tailorbird.training.supernet.importance import sort
from tailorbird.training.supernet.nesting import Nesting, nestings
from tailorbird.training.supernet.sortable_units import units_of


class Gated(nn.Module):
    """Two layers between which units have gates, made by the first layer behind all units."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        n = round(ratio * width)
        self.up, self.down = nn.Linear(width, 2 * n), nn.Linear(n, width)

    def forward(self, x: Tensor) -> Tensor:
        values, gates = self.up(x).chunk(2, dim=-1)
        y: Tensor = x + self.down(F.silu(values) * gates)
        return y

    def windows(self, name: str, shape: tuple[int, ...]) -> Any:
        if not name.startswith("up"):
            return None
        n = self.down.in_features
        rows = [*range(n), *range(shape[0] // 2, shape[0] // 2 + n)]
        return [rows, range(self.up.in_features)][: len(shape)]


class Last(nn.Module):
    """Smaller ones have the last units of larger ones; the largest says nothing."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.down(self.up(x).relu())
        return y

    def windows(self, name: str, shape: tuple[int, ...]) -> Any:
        own = self.get_parameter(name).shape
        return None if own == shape else [range(n - m, n) for m, n in zip(own, shape, strict=True)]


class Checked(Fused):
    """Attention that cannot be made with every number of heads, and says nothing of the whole."""

    def __init__(self, width: int, heads: int) -> None:
        assert width % heads == 0, "heads must divide the width"
        super().__init__(width, heads)

    def windows(self, name: str, shape: tuple[int, ...]) -> Any:
        own = tuple(self.get_parameter(name).shape)
        return None if own == shape else super().windows(name, shape)


class Spread(Fused):
    """Attention with heads from all over the larger one."""

    def windows(self, name: str, shape: tuple[int, ...]) -> Any:
        if not name.startswith("qkv"):
            return None
        n = shape[0] // 6
        rows = [2 * (p * n + h * n // self.heads) for p in range(3) for h in range(self.heads)]
        rows = [row + i for row in rows for i in range(2)]
        return [rows, range(self.qkv.in_features)][: len(shape)]


class Narrowed(nn.Module):
    """Attention, whose windows are those of README, in a stream that gets narrower."""

    def __init__(self, width: int, to: int, heads: int) -> None:
        super().__init__()
        self.into, self.attention = nn.Linear(width, to), Fused(to, heads)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.attention(self.into(x))
        return y


def test_blocks_have_the_indices_first_that_smaller_networks_have() -> None:
    assert nestings(6, [range(2), range(5)]) == [Nesting(1, (0, 1, 2, 3, 4, 5))]
    assert nestings(4, [range(2, 4), range(1, 4)]) == [Nesting(1, (2, 3, 1, 0))]
    three, one = nestings(12, [[0, 1, 4, 5, 8, 9], [0, 4, 8]])
    assert three == Nesting(3, (0, 1, 2, 3))
    assert three.parts(2).tolist() == [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]]
    assert one.parts(4)[0].tolist() == [0, 4, 8]
    assert nestings(4, []) == nestings(4, [range(4)]) == [Nesting(1, (0, 1, 2, 3))]
    assert nestings(4, [[0, 1], [0, 2, 3]]) == []


@pytest.mark.parametrize(
    ("space", "n"),
    [
        (of_tokens(Gated, ratio=(1, 2)), 8),
        (of_tokens(Gated, ratio=(0.5, 1.5)), 6),
        (of_tokens(Last, inner=(2, 5, 6)), 6),
        (of_tokens(Checked, heads=(1, 2, 4)), 4),
        (of_tokens(Checked, heads=(2, 4)), 4),
    ],
)
def test_the_smallest_network_has_the_units_that_matter_most(space: SharedSpace, n: int) -> None:
    found = units_of(space)
    assert [units.n for units in found] == [n, n]
    network, split = varied(space), images_of(space, 4)
    sort(space, network, split, "l1")
    smaller = min((p for p in space.pieces if p.kind == "block"), key=lambda p: p.workload.params)
    for name, (weight, window) in network.windows_of(smaller).items():
        for axis, parts in ((a, p) for a, p in found[0].parts.items() if a.tensor == name):
            index = np.arange(weight.numel()).reshape(weight.shape)[window]
            own = {*np.unravel_index(index.ravel(), weight.shape)[axis.axis].tolist()}
            assert own == {*parts.ravel()[: len(own)].tolist()}


def test_windows_of_other_axes_leave_a_stream_in_order() -> None:
    space = of_tokens(Narrowed, to=(2, 4), heads=2)
    assert [units.n for units in units_of(space)] == [4]


def test_networks_that_do_not_nest_are_refused() -> None:
    space = of_tokens(Spread, heads=(2, 3, 5))
    law = r"'qkv.weight' of .* cannot be sorted, since smaller .* have indices there that larger"
    with pytest.raises(ContractError, match=law):
        sort(space, varied(space), images_of(space, 4), "l1")
