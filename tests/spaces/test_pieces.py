"""Pieces of networks, and the names of the weights that they share."""

from collections import Counter
from functools import partial

import numpy as np
import own_net
import own_shared
import pytest
from own_net import Block, Head, Stem, of
from shared_spaces import OWN, SHIPPED, rows_of, space_of

from tailorbird import spaces
from tailorbird.spaces import IntArray, SharedSpace, Stage
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.shared import KINDS, HasPieces, fingerprint, smallest_and_largest
from tailorbird.spaces.stitching import StitchSpace

SLOWLY_MADE = ("mobile-elastic", "regnet")
each_space = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long if name in SLOWLY_MADE else ())
        for name in (*SHIPPED, *OWN)
    ],
)


def every_row(space: SharedSpace) -> IntArray:
    return np.concatenate(list(space.enumerate()))


def names(space: SharedSpace, row: IntArray) -> list[str]:
    return [piece.weights for piece in space.route(row)]


@each_space
def test_workloads_of_a_network_are_those_of_its_pieces(name: str) -> None:
    space = space_of(name)
    rows = rows_of(space, 40)
    for row, counts in zip(rows, space.count_workloads(rows).toarray(), strict=True):
        counted = {w: n for w, n in zip(space.workloads, counts, strict=True) if n}
        assert Counter(piece.workload for piece in space.route(row)) == counted


@each_space
def test_pieces_are_listed_once_and_have_weights_of_one_kind(name: str) -> None:
    space = space_of(name)
    assert isinstance(space, HasPieces)
    assert len({*space.pieces}) == len(space.pieces)
    kinds = dict[str, str]()
    for piece in space.pieces:
        assert piece.kind in KINDS
        assert "." not in piece.weights
        assert kinds.setdefault(piece.weights, piece.kind) == piece.kind
    for row in rows_of(space, 40):
        route = space.route(row)
        assert {*route} <= {*space.pieces}
        kinds_in_order = [piece.kind for piece in route]
        n_first = kinds_in_order.count("embedding")
        n_last = kinds_in_order.count("head")
        assert kinds_in_order[:n_first] == ["embedding"] * n_first != []
        assert kinds_in_order[len(route) - n_last :] == ["head"] * n_last != []


@pytest.mark.parametrize("name", ["digits-elastic", "macro-mobilenetv2", "own-net", "grouped"])
def test_every_piece_is_in_a_network(name: str) -> None:
    space = space_of(name)
    found = {piece for row in every_row(space) for piece in space.route(row)}
    assert found == {*space.pieces}


def test_every_part_of_a_stitched_network_has_weights_of_its_own() -> None:
    space = space_of("digits-resnet")
    assert isinstance(space, StitchSpace)
    assert [piece.weights for piece in space.pieces] == [str(part) for part in space.parts]
    for row in rows_of(space, 20):
        parts = space.parts_of(row)
        assert names(space, row) == [str(part) for part in parts]
        assert [piece.workload for piece in space.route(row)] == [*map(space.workload, parts)]
    row = space.landmarks[0].copy()
    row[1] = len(space.variables[1].choices)
    with pytest.raises(ValueError, match="canonical"):
        space.route(row)


def test_a_head_keeps_its_weights_whether_a_block_comes_before_it_or_not() -> None:
    """Where a stage's last slot is no variable, its block and the head are of one edge."""
    space = of([Stage(Block, to=4, depth=(1, 2, 0))])
    found = {names(space, row)[-1] for row in every_row(space)}
    assert found == {"last-0-Head"}
    assert len({tuple(names(space, row)) for row in every_row(space)}) == 3


def test_a_head_of_the_blocks_own_class_has_weights_of_its_own() -> None:
    """As in a network without a stage: blocks of the same class come at other places."""
    space = of(
        [Stage(Block, depth=(0, 1)), Stage(Block, to=8)],
        head=[*[partial(Block, to=8, stride=1)] * 2, partial(Head, classes=3)],
    )
    for row in every_row(space):
        found = names(space, row)
        assert len({*found}) == len(found)
        assert found[-3:] == ["last-0-Block", "last-1-Block", "last-0-Head"]


def test_a_stage_without_choices_keeps_its_weights_behind_one_that_may_be_left_out() -> None:
    """It is of one edge with the last slot before it, if there is a block in that."""
    space = own_shared.grouped()
    for row in every_row(space):
        depth0 = (0, 2, 1)[row[0]]
        found = names(space, row)
        assert found[: 2 + depth0] == [
            "first-0-Stem",
            *(f"stage0_{slot}-Normed" for slot in range(depth0)),
            "stage1_0-Normed",
        ]
        assert found[-1] == "last-0-Head"
        assert {*found[2 + depth0 : -1]} <= {"stage2_0-Normed", "stage2_1-Normed"}
    of_stage = [piece for piece in space.pieces if piece.weights == "stage1_0-Normed"]
    assert {dict(p.workload.params)["width"] for p in of_stage} == {4, 6}


def test_classes_at_one_place_have_weights_of_their_own() -> None:
    space = own_net.of(
        [Stage(Block, depth=(1, 2))], [partial(Stem, to=4), partial(Block, to=4, stride=1)]
    )
    assert names(space, space.landmarks[0]) == [
        "first-0-Stem",
        "first-0-Block",
        "stage0_0-Block",
        "last-0-Head",
    ]


@pytest.mark.parametrize(
    ("name", "n_weights", "n_pieces"),
    [
        # stem, six slots of three widths and two inner ones, and a head of three widths
        ("digits-elastic", 8, 1 + 6 * 3 * 2 + 3),
        # stem, three stages of three slots, head
        ("cifar-elastic", 11, 1 + 9 * 3 + 1),
        # patches, twelve blocks of three numbers of heads and three MLPs, head
        ("elastic-vit", 14, 1 + 12 * 9 + 1),
        # stem, four stages of a first block and two more, each of three classes, head
        pytest.param(
            "mobile-elastic",
            1 + 4 * 3 * 3 + 1,
            1 + 4 * ((8 + 4 + 1) + 2 * (8 + 6 + 1)) + 1,
            marks=pytest.mark.long,
        ),
        # stem, a first block, twenty blocks, three layers behind them
        ("ofa-mobilenetv3", 25, 185),
    ],
)
def test_names_and_pieces_of_shipped_spaces_are_those_counted_by_hand(
    name: str, n_weights: int, n_pieces: int
) -> None:
    space = space_of(name)
    assert len({piece.weights for piece in space.pieces}) == n_weights
    assert len(space.pieces) == n_pieces


@pytest.mark.parametrize(
    ("name", "size", "ratio"), [("digits-elastic", 360, 58), ("cifar-elastic", 59_319, 11)]
)
def test_supernets_that_are_shipped_have_networks_of_many_sizes(
    name: str, size: int, ratio: int
) -> None:
    space = spaces.get(name, n_classes=3)
    assert isinstance(space, Chain)
    assert space.size == size
    assert "n_classes=3" in space.name
    ends = smallest_and_largest(space)
    least, most = count_macs(space, ends)
    assert round(most / least) == ratio
    drawn = count_macs(space, space.sample(200, np.random.default_rng(0)))
    assert least <= drawn.min()
    assert drawn.max() <= most


def test_weights_are_told_apart_by_the_windows_that_modules_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or those that were trained as other parts of the same tensors would be loaded."""
    said = own_shared.Fused.windows
    before = fingerprint(own_shared.fused().pieces)
    assert fingerprint(own_shared.fused().pieces) == before
    monkeypatch.delattr(own_shared.Fused, "windows")
    none = fingerprint(own_shared.fused().pieces)
    monkeypatch.setattr(own_shared.Fused, "windows", last_rows, raising=False)
    assert len({before, none, fingerprint(own_shared.fused().pieces)}) == 3
    monkeypatch.setattr(own_shared.Fused, "windows", said)
    assert fingerprint(own_shared.fused().pieces) == before


def last_rows(module: own_shared.Fused, name: str, shape: tuple[int, ...]) -> object:
    n = len(module.qkv.bias)
    return [range(shape[0] - n, shape[0])] if name == "qkv.bias" else None
