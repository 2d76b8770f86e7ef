"""A design space of RegNets, held to the paper's numbers and timm's networks."""

from itertools import product

import numpy as np
import pytest
import torch
from timm.models.regnet import Bottleneck, generate_regnet
from torch import nn

from tailorbird import spaces
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.chains.quantised_widths import quantised_widths
from tailorbird.spaces.chains.regnet_modules import RegNetBlock
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.layered import MAX_ENUMERATED


def regnet() -> Chain:
    space = spaces.get("regnet", batch=2, resolution=32, n_classes=10)
    assert isinstance(space, Chain)
    return space


SPACE = regnet()
ROWS = np.concatenate(list(SPACE.enumerate()))


@pytest.mark.parametrize(
    ("parameters", "stages"),
    [
        ((13, 24, 36.44, 2.49), ((24, 1), (56, 1), (152, 4), (368, 7))),  # RegNetX-200MF
        ((22, 24, 24.48, 2.54), ((32, 1), (64, 2), (160, 7), (384, 12))),  # 400MF, whose 24 is 32
        ((16, 48, 36.97, 2.24), ((48, 1), (96, 3), (240, 5), (528, 7))),  # 600MF
    ],
)
def test_widths_are_those_of_published_networks(
    parameters: tuple[int, int, float, float], stages: tuple[tuple[int, int], ...]
) -> None:
    """But for those that the paper then makes multiples of a group's channels."""
    found = quantised_widths(*parameters)
    assert [n for _, n in found] == [n for _, n in stages]
    for (width, _), (published, _) in zip(found, stages, strict=True):
        assert abs(width - published) <= 8


def test_widths_are_those_that_timm_generates() -> None:
    for depth, initial, slope, ratio in product((6, 13, 22), (16, 48), (8, 36.44), (2.0, 2.49)):
        widths, _, _ = generate_regnet(slope, initial, ratio, depth, 8)
        ours = [
            w for width, n in quantised_widths(depth, initial, slope, ratio) for w in [width] * n
        ]
        assert ours == widths


def test_networks_are_those_that_their_variables_say() -> None:
    for row in ROWS[:: len(ROWS) // 50]:
        said = {v.name: float(v.choices[c]) for v, c in zip(SPACE.variables, row, strict=True)}
        widths, n_stages, _ = generate_regnet(
            said["slope"], int(said["initial"]), said["ratio"], int(said["depth"]), 8
        )
        group = int(said["group"])
        blocks = [dict(piece.workload.params) for piece in SPACE.route(row)[1:-1]]
        assert n_stages == 4 == sum(block["stride"] == 2 for block in blocks)
        assert [block["to"] for block in blocks] == [
            group * max(1, round(width / group)) for width in widths
        ]
        assert {block["group"] for block in blocks} == {group}


def test_each_network_has_one_row_and_every_row_a_network() -> None:
    assert len({SPACE.route(row) for row in ROWS}) == len(ROWS) == SPACE.size < MAX_ENUMERATED
    every = np.array([*product(*(range(len(v.choices)) for v in SPACE.variables))])
    repaired = SPACE.repair(every)
    np.testing.assert_array_equal(SPACE.repair(repaired), repaired)
    assert {*map(tuple, repaired.tolist())} == {*map(tuple, ROWS.tolist())}
    of_network = SPACE.layout._networks  # type: ignore[attr-defined]
    for row, canonical in zip(every, repaired, strict=True):
        made = SPACE.layout.network(tuple(row.tolist()))  # type: ignore[attr-defined]
        if made is None:
            distances = np.abs(ROWS - row).sum(axis=1)
            assert np.abs(canonical - row).sum() == distances.min()
        else:
            assert made == of_network[tuple(canonical.tolist())]


@pytest.mark.long
def test_reference_networks_are_the_smallest_the_middle_and_the_largest() -> None:
    macs, of_all = count_macs(SPACE, SPACE.landmarks), np.sort(count_macs(SPACE, ROWS))
    assert [*macs] == [of_all[0], of_all[len(of_all) // 2], of_all[-1]]


@pytest.mark.parametrize(("stride", "to"), [(1, 24), (2, 48)])
def test_blocks_do_what_those_of_timm_do(stride: int, to: int) -> None:
    torch.manual_seed(0)
    theirs = Bottleneck(24, to, stride, bottle_ratio=1, group_size=8, se_ratio=0).eval()
    ours = RegNetBlock(24, to, stride, 8).eval()
    values = theirs.state_dict()
    for name, tensor in values.items():
        if tensor.is_floating_point() and ".bn." in name:
            nn.init.uniform_(tensor, 0.5, 1.5)
    ours.load_state_dict(dict(zip(ours.state_dict(), values.values(), strict=True)))
    x = torch.randn(2, 24, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x))
