"""Stages whose blocks are of one of several classes."""

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import own_net
import pytest
from own_net import Block, Free, Narrow, Planes, of
from scipy.stats import chisquare
from strategies import rows_within
from torch import Tensor, nn

from tailorbird.errors import ContractError
from tailorbird.spaces import Elastic, IntArray, Stage
from tailorbird.training import SharedNetwork

stage: Any = Stage


class Plain(nn.Conv2d):
    """A block that has a kernel, and nothing inside."""

    def __init__(self, width: int, to: int, stride: int, kernel: int) -> None:
        super().__init__(width, to, kernel, stride, kernel // 2)


class Skip(nn.Module):
    """A block without choices."""

    def __init__(self, width: int, to: int, stride: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(width, to, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(x)
        return y


def mixed() -> Elastic:
    """One or two blocks, each of three classes: one chooses its inside, one its kernel."""
    return of([Stage((Block, Plain, Skip), depth=(1, 2), inner=(1, 2), kernel=(1, 3))])


def every_row(space: Elastic) -> IntArray:
    return np.concatenate(list(space.enumerate()))


def keys(space: Elastic, row: IntArray) -> list[str]:
    return [piece.workload.key.partition("#")[0] for piece in space.route(row)[1:-1]]


def test_each_block_chooses_its_class_and_what_that_class_has() -> None:
    space = mixed()
    names = ["depth0", "block0_0", "inner0_0", "kernel0_0", "block0_1", "inner0_1", "kernel0_1"]
    assert [v.name for v in space.variables] == names
    assert space.variables[1].choices == ("Block", "Plain", "Skip")
    of_a_block = 2 + 2 + 1
    assert space.size == of_a_block + of_a_block**2
    routes = {tuple(keys(space, row)) for row in every_row(space)}
    assert len(routes) == space.size
    assert keys(space, np.array([1, 1, 0, 1, 0, 1, 0])) == [
        "Plain(width=4,to=4,stride=1,kernel=3)[2x4x8x8]f32",
        "Block(width=4,to=4,stride=1,inner=2)[2x4x8x8]f32",
    ]


def test_what_a_class_does_not_have_is_0_in_canonical_rows() -> None:
    space = mixed()
    X = np.array([[1, 0, 1, 1, 1, 1, 1], [1, 2, 1, 1, 2, 1, 1], [0, 1, 1, 1, 2, 1, 1]])
    wanted = [[1, 0, 1, 0, 1, 0, 1], [1, 2, 0, 0, 2, 0, 0], [0, 1, 0, 1, 0, 0, 0]]
    np.testing.assert_array_equal(space.repair(X), wanted)
    for row in X:
        with pytest.raises(ValueError, match="canonical"):
            space.route(row)
    drawn = rows_within(space, 3_000, 0)
    once = space.repair(drawn)
    np.testing.assert_array_equal(space.repair(once), once)
    assert {tuple(row) for row in once.tolist()} == {
        tuple(row) for row in every_row(space).tolist()
    }


def test_texts_say_what_a_class_has() -> None:
    space = mixed()
    assert space.describe(np.array([1, 0, 1, 0, 2, 0, 0])) == "block=Block,inner=2 block=Skip"
    assert len({space.describe(row) for row in every_row(space)}) == space.size
    assert repr(Stage((Block, Skip), depth=(1, 2), inner=(1, 2))) == (
        "Stage(Block | Skip, depth=(1, 2), inner=(1, 2))"
    )


def test_samples_are_uniform_over_networks() -> None:
    space = mixed()
    drawn = Counter(map(tuple, space.sample(200 * space.size, np.random.default_rng(0)).tolist()))
    n_drawn = [drawn[tuple(row)] for row in every_row(space).tolist()]
    assert sum(n_drawn) == 200 * space.size
    assert chisquare(n_drawn).pvalue > 1e-3


def test_weights_are_shared_with_blocks_of_the_same_class_only() -> None:
    space = mixed()
    network = SharedNetwork(space)
    assert {*network.parts} == {
        "first-0-Stem",
        *(f"stage0_{slot}-{name}" for slot in (0, 1) for name in ("Block", "Plain", "Skip")),
        "last-0-Head",
    }
    assert network.get_parameter("parts.stage0_0-Plain.weight").shape == (4, 4, 3, 3)
    assert network.get_parameter("parts.stage0_0-Block.expand.weight").shape == (8, 4, 3, 3)


def test_classes_have_the_stages_width_and_stride_and_arguments_of_their_own() -> None:
    blocks = (partial(Block, inner=4), partial(Plain, kernel=5), Skip)
    space = of([Stage(blocks, to=(8, 6), stride=2)])
    assert [v.name for v in space.variables] == ["to0", "block0_0"]
    assert [keys(space, row)[0] for row in every_row(space)] == [
        f"{name}(width=4,to={to},stride=2{more})[2x4x8x8]f32"
        for to in (8, 6)
        for name, more in (("Block", ",inner=4"), ("Plain", ",kernel=5"), ("Skip", ""))
    ]


def test_what_is_fixed_for_one_class_may_be_a_choice_of_another() -> None:
    inner: Any = (1, 2)
    other = type("Other", (Block,), {"__module__": own_net.__name__, "__qualname__": "Other"})
    own_net.Other = other  # type: ignore[attr-defined]  # so that it can be imported
    space = of([Stage((partial(Block, inner=inner), partial(other, inner=4)))])
    assert space.size == 3
    assert [keys(space, row)[0].partition("(")[0] for row in every_row(space)] == [
        "Block",
        "Block",
        "Other",
    ]


WIDE: Any = (1, 2)
WIDER: Any = (1, 4)
REFUSED: list[tuple[Any, str]] = [
    (lambda: stage(()), "one class of blocks at least, but has none"),
    (lambda: stage((Block, Block)), "names of their own, .* but two are 'Block'. Let one class"),
    (lambda: stage((Block, Narrow), to=8), "Narrow has no parameter 'to'"),
    (lambda: stage((Block, Planes), stride=2), "Planes has no parameter 'stride'"),
    (lambda: stage((Block, Skip), kernle=3), "Block has no parameter 'kernle'"),
    (lambda: stage((Block, "Skip")), "but got str"),
    (
        lambda: stage((partial(Block, inner=WIDE), partial(Free, inner=WIDER))),
        r"one for all classes that have it, but `inner` of Free is \(1, 4\), .* \(1, 2\). Give it",
    ),
    (lambda: of([stage((Block, Planes))]), "Planes cannot be made .*'planes'"),
    (
        lambda: of([Stage((Block, Skip), depth=(0, 1))] * 2),
        "9 encodings of 'own-net' are 7 networks",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[text for _, text in REFUSED])
def test_classes_that_do_not_fit_are_refused_in_a_sentence(make: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)
