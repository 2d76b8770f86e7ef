"""Spaces that users write as stages of their own modules."""

from collections import Counter
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import own_net
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from own_net import (
    Block,
    FlatHead,
    Free,
    Head,
    LastAxis,
    LastHead,
    MeanHead,
    Mixer,
    Names,
    Narrow,
    Patches,
    Planes,
    Stem,
    Valid,
    of,
)
from scipy.stats import chisquare
from strategies import rows_within
from torch import nn

from tailorbird.errors import ContractError
from tailorbird.predictors.counted_costs import peak_mib
from tailorbird.spaces import Elastic, IntArray, Piece, Stage, Workload
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.trial import check_modules

DEPTH, INNER = (1, 2), (1, 2, 4)


def values(space: Elastic, row: IntArray) -> dict[str, str]:
    """Choices of a row by the names of variables."""
    return {v.name: v.choices[c] for v, c in zip(space.variables, row, strict=True)}


def undigested(workload: Workload) -> str:
    """Key without the digest of what the module does."""
    return workload.key.partition("#")[0]


def keys(space: Elastic, row: IntArray) -> list[str]:
    return [undigested(piece.workload) for piece in space.route(row)]


def every_row(space: Elastic) -> IntArray:
    return np.concatenate(list(space.enumerate()))


def said(values: dict[str, str]) -> list[str]:
    """Keys of the workloads of a network of `own_net.space(2)`, spelt out."""
    first, second = int(values["depth0"]), int(values["depth1"])
    route = ["Stem(to=4)[2x1x8x8]f32"]
    for inner in [values["inner0_0"], values["inner0_1"]][:first]:
        route.append(f"Block(width=4,to=4,stride=1,inner={inner})[2x4x8x8]f32")  # noqa: PERF401
    shape, width, side = "2x4x8x8", 4, 2
    for act in [values["act1_0"], values["act1_1"]][:second]:
        told = f"width={width},to=8,stride={side},inner=2,act={act}"
        route.append(f"Block({told})[{shape}]f32")
        shape, width, side = "2x8x4x4", 8, 1
    return [*route, f"Head(width={width},classes=10)[{shape}]f32"]


def test_networks_are_those_that_the_variables_say() -> None:
    space = own_net.space(2)
    names = ["depth0", "inner0_0", "inner0_1", "depth1", "act1_0", "act1_1"]
    assert [v.name for v in space.variables] == names
    assert [v.choices for v in space.variables[2:5]] == [
        ("1", "2", "4"),
        ("2", "0", "1"),
        ("relu", "gelu"),
    ]
    X = rows_within(space, 300, seed=0)
    for row, repaired in zip(X, space.repair(X), strict=True):
        assert keys(space, repaired) == said(values(space, row))
    routes = {tuple(keys(space, row)) for row in every_row(space)}
    assert space.size == len(routes) == (3 + 9) * (4 + 1 + 2)


def test_reference_architectures_are_the_smallest_and_the_largest_of_all() -> None:
    space = own_net.space(2)
    macs, of_all = count_macs(space, space.landmarks), count_macs(space, every_row(space))
    assert (macs[0], macs[-1]) == (of_all.min(), of_all.max())
    np.testing.assert_array_equal(space.landmarks[1], [1, 1, 1, 1, 0, 0])


def test_texts_tell_each_block_and_reprs_the_space() -> None:
    space = own_net.space(2)
    X = every_row(space)
    assert len({space.describe(row) for row in X}) == space.size
    assert space.describe(X[-1]) == "inner=4 inner=4 | act=gelu"
    only_depth = of([Stage(Block, depth=DEPTH), Stage(Block, to=8, inner=INNER)])
    assert only_depth.describe(np.array([1, 2])) == "depth=2 | inner=4"
    assert repr(only_depth) == (
        "Elastic('own-net', 6 networks, 2 variables: depth0 (1, 2), inner1_0 (1, 2, 4))"
    )
    assert "84 networks, 6 variables: depth0 (1, 2), inner0_0 (1, 2, 4), " in repr(space)


def test_each_distinct_module_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    build = Workload.build

    def counted(workload: Workload) -> nn.Module:
        made.append(undigested(workload))
        return build(workload)

    monkeypatch.setattr(Workload, "build", counted)
    space = of([Stage(Block, depth=(1, 4), inner=INNER), Stage(Block, to=8, depth=(1, 4))])
    assert sorted(made) == sorted(map(undigested, space.workloads))


def test_the_order_of_arguments_is_that_of_the_class() -> None:
    one = of(Stage(partial(Block, norm=False), act="gelu", depth=DEPTH, inner=2))
    other = of(Stage(partial(Block, inner=2, act="gelu"), norm=False, depth=DEPTH))
    assert one.workloads == other.workloads
    assert undigested(one.workloads[1]) == (
        "Block(width=4,to=4,stride=1,inner=2,act=gelu,norm=False)[2x4x8x8]f32"
    )


def test_what_has_one_value_is_no_variable() -> None:
    stages = [
        Stage(Block),
        Stage(Block, to=8, depth=(2,), inner=INNER, norm=(True,)),
        Stage(partial(Planes, planes=8)),
    ]
    space = of(stages)
    assert [v.name for v in space.variables] == ["inner1_0", "inner1_1"]
    assert keys(space, space.landmarks[-1]) == [
        "Stem(to=4)[2x1x8x8]f32",
        "Block(width=4,to=4,stride=1)[2x4x8x8]f32",
        "Block(width=4,to=8,stride=1,inner=4,norm=True)[2x4x8x8]f32",
        "Block(width=8,to=8,stride=1,inner=4,norm=True)[2x8x8x8]f32",
        "Planes(width=8,planes=8)[2x8x8x8]f32",
        "Head(width=8,classes=10)[2x8x8x8]f32",
    ]


def test_a_stage_left_out_leaves_its_stride_and_width_to_the_next() -> None:
    space = of([Stage(Block, to=8, stride=2, depth=(0, 1)), Stage(Block, to=16, inner=INNER)])
    without, with_it = (keys(space, np.array(row))[1:-1] for row in ([0, 0], [1, 2]))
    assert without == ["Block(width=4,to=16,stride=1,inner=1)[2x4x8x8]f32"]
    assert with_it[-1] == "Block(width=8,to=16,stride=1,inner=4)[2x8x4x4]f32"


@pytest.mark.parametrize(
    ("stage", "n_shapes"),
    [
        (Stage(Valid, depth=(1, 2), kernel=(1, 3)), 3),
        (Stage(Planes, depth=(1, 2), planes=(4, 6, 8)), 3),
    ],
)
def test_shapes_may_depend_on_choices_where_the_next_module_takes_them(
    stage: Stage, n_shapes: int
) -> None:
    space = of([stage, Stage(Block, to=8)])
    taken = {w.inputs for w in space.workloads if w.op == "Block"}
    assert len(taken) == n_shapes
    runs(space)


def runs(space: Elastic) -> None:
    """All networks take the input, and their modules what comes next."""
    for row in every_row(space):
        x = torch.zeros(space.input_shape)
        network = space.build(row).eval()
        assert isinstance(network, nn.Sequential)
        with torch.inference_mode():
            for module, piece in zip(network, space.route(row), strict=True):
                assert piece.workload.inputs == (tuple(x.shape),)
                x = module(x)
        assert x.shape == (2, 10)


def test_the_width_of_sequences_is_their_last_axis() -> None:
    mixers = Stage(Mixer, to=6, depth=DEPTH)
    space = of(mixers, partial(Patches, to=4), partial(MeanHead, classes=10))
    assert keys(space, space.landmarks[-1])[1:] == [
        "Mixer(width=4,to=6)[2x16x4]f32",
        "Mixer(width=6,to=6)[2x16x6]f32",
        "MeanHead(width=6,classes=10)[2x16x6]f32",
    ]
    runs(space)


def test_the_axis_of_the_width_can_be_told() -> None:
    embedding = [partial(Stem, to=4), LastAxis]
    head = partial(LastHead, classes=10)
    space = of(Stage(Mixer, to=6, depth=DEPTH), embedding, head, width_axis=-1)
    assert [undigested(w) for w in space.workloads[2:4]] == [
        "Mixer(width=4,to=6)[2x8x8x4]f32",
        "Mixer(width=6,to=6)[2x8x8x6]f32",
    ]
    runs(space)


def test_modules_of_others_serve_as_they_are() -> None:
    blocks = Stage(
        partial(nn.TransformerEncoderLayer, d_model=4, batch_first=True),
        nhead=(1, 2),
        dim_feedforward=(8, 16),
        activation=("relu", "gelu"),
    )
    head = [nn.Identity, partial(MeanHead, classes=10)]
    space = of(blocks, partial(Patches, to=4), head)
    assert space.size == 8
    assert undigested(space.workloads[-2]) == "Identity()[2x16x4]f32"
    runs(space)


def test_values_of_numpy_are_no_obstacle() -> None:
    space = of(Stage(own_net.Constants, depth=DEPTH))
    check_modules(space)
    assert (count_macs(space, space.landmarks) > 0).all()
    assert (peak_mib(space).mean(space.landmarks) > 0).all()
    runs(space)


def test_arguments_that_any_name_is_taken_for_are_given_as_said() -> None:
    space = of(Stage(Free, width=4, to=4, kernel=(1, 3)))
    assert undigested(space.workloads[1]) == "Free(width=4,kernel=1,to=4)[2x4x8x8]f32"


def test_large_spaces_have_exact_sizes() -> None:
    stages = [Stage(Block, to=8 * i, depth=(1, 2, 3, 4), inner=INNER) for i in range(1, 6)]
    assert of(stages).size == (3 + 9 + 27 + 81) ** 5


def local_class() -> type[nn.Module]:
    class Local(Block):
        pass

    return Local


TWICE = Stage(Block, depth=DEPTH)
stage: Any = Stage
block: Any = Block
stem: Any = Stem
REFUSED: list[tuple[Any, str]] = [
    (lambda: stage(local_class()), "importable, .*>.Local is not. Move it to the top"),
    (lambda: stage(own_net.Outer.Block), "importable, .* own_net:Outer.Block is not"),
    (lambda: stage(own_net.function), "classes of torch modules, .* but got function function"),
    (lambda: stage(lambda width: nn.Identity()), "but got function <lambda>"),
    (lambda: stage(Block(4, 4, 1)), "but got Block. Write a class"),
    (lambda: stage(int), "but got type int"),
    (lambda: stage(None), "but got NoneType"),
    (lambda: of(TWICE, "Stem"), "but got str"),
    (lambda: stage(Block, stride=(1, 2)), r"one positive integer, .* but is \(1, 2\)"),
    (lambda: stage(Block, stride=0), "one positive integer"),
    (lambda: stage(Narrow, stride=2), "Narrow has no parameter 'stride'; it has none"),
    (lambda: stage(Narrow, to=8), "Narrow has no parameter 'to'"),
    (lambda: stage(Block, iner=2), "no parameter 'iner'; did you mean 'inner'"),
    (lambda: stage(partial(Block, 4)), "must be given by name"),
    (lambda: stage(Block, depth=()), r"a tuple of numbers, not all 0, but is \(\)"),
    (lambda: stage(Block, depth=0), "not all 0, but is 0"),
    (lambda: stage(Block, depth=(1, -1)), r"but is \(1, -1\)"),
    (lambda: stage(Block, depth=[1, 2]), r"but is \[1, 2\]"),
    (lambda: stage(Block, depth=True), "but is True"),
    (lambda: stage(Block, depth=(1, 1)), r"each once, but are \(1, 1\)"),
    (lambda: stage(Block, inner=()), r"at least one, each once, but are \(\)"),
    (lambda: stage(Block, inner=(1, True)), "each once"),
    (lambda: stage(Block, inner=[1, 2]), r"but is \[1, 2\]. Choices are tuples"),
    (lambda: stage(Block, act=nn.ReLU), "a word such as 'relu', but is <class"),
    (lambda: stage(Block, act=("relu", None)), "but is None. Have the class look it up"),
    (lambda: stage(Block, act="re lu"), "but is 're lu'"),
    (lambda: stage(Block, inner=float("nan")), "a finite number, .* but is nan"),
    (lambda: of(Stage(Planes)), "Planes cannot be made .*missing a required argument: 'planes'"),
    (lambda: of(TWICE, head=Head), "Head cannot be made .*missing .* 'classes'"),
    (lambda: of(TWICE, partial(stem, to=(4, 8))), "only stages have them"),
    (lambda: of(TWICE, nn.Identity()), "but got Identity. Write a class"),
    (lambda: of(TWICE, width_axis=7), "`width_axis` must be -1 or 1 to 4, but is 7"),
    (lambda: of(TWICE, shape=(1, 8, 0)), "tuples of positive integers"),
    (lambda: of(Block), "must be a list of .*Stage., but number 0 is <class"),
    (lambda: of(Stage(Block, to=8)), "must leave something to choose"),
    (lambda: of([]), "something to choose, but no depth"),
    (lambda: Elastic("", (2, 1, 8, 8), Stem, TWICE, Head), "`name` of a space must be a text"),
    (
        lambda: of(Stage(own_net.Raising, depth=DEPTH)),
        r"take what comes before .* block 0 of stage 0, Raising\(width=4,to=4,stride=1\)"
        r"\[2x4x8x8\]f32 of own_net:Raising, does not take \(2, 4, 8, 8\) .*no way.* meta device",
    ),
    (lambda: of(Stage(own_net.Unmade, depth=DEPTH)), "must be made of .* Unmade.*nothing"),
    (lambda: of(Stage(own_net.Tuples, depth=DEPTH)), "one tensor of floats, .* gave tuple"),
    (lambda: of(Stage(own_net.Integers, depth=DEPTH)), "gave torch.int32"),
    (lambda: of(Stage(own_net.NeedsValues, depth=DEPTH)), "NeedsValues.*meta"),
    (lambda: of(Stage(own_net.MixesImages, depth=DEPTH)), r"keep the first axis, of 2 .*\(4, 8, 8"),
    (
        lambda: of([TWICE, Stage(Block, to=8, stride=2), Stage(Narrow)]),
        r"block 0 of stage 2, Narrow\(\)\[2x8x4x4\].* does not take \(2, 8, 4, 4\)",
    ),
    (
        lambda: of([Stage(Planes, planes=(4, 8)), Stage(Narrow)]),
        r"block 0 of stage 1, Narrow.* does not take \(2, 8, 8, 8\)",
    ),
    (
        lambda: of(Stage(Block, to=8, depth=DEPTH), head=partial(Head, width=4, classes=3)),
        r"layer 0 of the head, Head\(width=4,classes=3\)\[2x8x8x8\].* does not take",
    ),
    (
        lambda: of(Stage(Valid, depth=DEPTH, kernel=3), head=FlatHead),
        r"must give one shape, but some give \(2, 64\) and others \(2, 144\)",
    ),
    (lambda: of([TWICE, TWICE]), "4 encodings of 'own-net' are 3 networks"),
    (lambda: of([Stage(Block, to=8, depth=(0, 1))] * 2), "are 3 networks.* Make one stage"),
    (lambda: of([TWICE, Stage(own_net.OtherBlock, to=8)]), "own_net:Block and own_net:OtherBlock"),
    (
        lambda: of([Stage(Names, a1=(1, 2)), *[Stage(Names)] * 9, Stage(Names, a=(1, 2))]),
        "two are 'a10_0'",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[text for _, text in REFUSED])
def test_what_does_not_fit_is_refused_in_a_sentence(make: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)


def sequences(
    stages: list[tuple[int | tuple[int, ...], tuple[int, ...], tuple[int, ...]]],
) -> list[tuple[Any, ...]]:
    """Blocks of every encoding, each as (width, to, inner), for stages of (to, depths, inners)."""
    found: list[tuple[Any, ...]] = [()]
    for to, depths, inners in stages:
        widths = to if isinstance(to, tuple) else (to,)
        found = [
            (*before, *chained(before, width, chosen))
            for before in found
            for depth in depths
            for width in (widths if depth else widths[:1])  # of no block there is but one
            for chosen in product(inners, repeat=depth)
        ]
    return found


def chained(before: tuple[Any, ...], to: int, inners: tuple[int, ...]) -> list[tuple[int, ...]]:
    widths = [before[-1][1] if before else 4, *[to] * len(inners)]
    return [(width, to, inner) for width, inner in zip(widths, inners, strict=False)]


@settings(max_examples=10)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([4, 8, (4, 8), (8, 4, 16)]),
            st.sampled_from([(0, 1), (1, 2), (1, 3), (0, 2, 3)]),
            st.sampled_from([(1, 2), (2, 4)]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_encodings_are_counted_once_for_each_network(stages: Any) -> None:
    found = sequences(stages)
    n_encodings, n_networks = len(found), len(set(found))
    spelt = [Stage(Block, to=to, depth=depths, inner=inners) for to, depths, inners in stages]
    if n_networks == n_encodings:
        check_networks(of(spelt), found)
    else:
        told = f"{n_encodings:,} encodings of 'own-net' are {n_networks:,} networks"
        with pytest.raises(ContractError, match=told):
            of(spelt)


def check_networks(space: Elastic, blocks: list[tuple[Any, ...]]) -> None:
    """Networks are these, each of one encoding, one text, and the workloads that are counted."""
    assert space.size == len(blocks)
    X = every_row(space)[:300]
    found = [tuple(map(block_of, space.route(row)[1:-1])) for row in X]
    assert {*found} <= {*blocks}
    assert len({*found}) == len({space.describe(row) for row in X}) == len(X)
    np.testing.assert_array_equal(space.repair(X), X)
    for row, counts in zip(X, space.count_workloads(X).toarray(), strict=True):
        counted = {w: n for w, n in zip(space.workloads, counts, strict=True) if n}
        assert Counter(piece.workload for piece in space.route(row)) == counted
    drawn = rows_within(space, 30, 0)
    for row, repaired in zip(drawn, space.repair(drawn), strict=True):
        assert block_texts(space, row) == block_texts(space, repaired)
        space.count_workloads(repaired[None])


def block_of(piece: Piece) -> tuple[Any, ...]:
    params = dict(piece.workload.params)
    return params["width"], params["to"], params["inner"]


def block_texts(space: Elastic, row: IntArray) -> list[str]:
    """What is chosen for each block that there is, in any row."""
    texts, said = list[str](), values(space, row)
    for number, stage in enumerate(space.layout.paths.stages):  # type: ignore[attr-defined]
        depths = stage.depths
        depth = int(said.get(f"depth{number}", depths[0]))
        width = said.get(f"to{number}", "")
        texts += [f"{number} {width} {said[f'inner{number}_{slot}']}" for slot in range(depth)]
    return texts


def test_elastic_widths_are_chosen_once_for_all_blocks_of_a_stage() -> None:
    space = of([Stage(Block, to=(8, 6), depth=(0, 2, 1), inner=(1, 2)), Stage(Block, to=(4, 8))])
    names = ["depth0", "to0", "inner0_0", "inner0_1", "to1"]
    assert [v.name for v in space.variables] == names
    assert space.variables[1].choices == ("8", "6")
    assert space.size == (1 + 2 * (4 + 2)) * 2
    np.testing.assert_array_equal(space.repair(np.array([[0, 1, 1, 1, 1]])), [[0, 0, 0, 0, 1]])
    np.testing.assert_array_equal(space.repair(np.array([[2, 1, 1, 1, 0]])), [[2, 1, 1, 0, 0]])
    two_blocks = np.array([1, 1, 1, 0, 1])
    assert keys(space, two_blocks)[1:] == [
        "Block(width=4,to=6,stride=1,inner=2)[2x4x8x8]f32",
        "Block(width=6,to=6,stride=1,inner=1)[2x6x8x8]f32",
        "Block(width=6,to=8,stride=1)[2x6x8x8]f32",
        "Head(width=8,classes=10)[2x8x8x8]f32",
    ]
    assert space.describe(two_blocks) == "to=6 inner=2 inner=1 | to=8 depth=1"
    assert space.describe(np.array([0, 0, 0, 0, 0])) == "depth=0 | to=4 depth=1"
    assert len({space.describe(row) for row in every_row(space)}) == space.size
    runs(space)


def test_a_stage_of_several_widths_alone_is_a_space() -> None:
    space = of([Stage(Block, to=(4, 8), stride=2)])
    assert [v.name for v in space.variables] == ["to0"]
    assert space.size == 2
    assert repr(Stage(Block, to=(4, 8))) == "Stage(Block, depth=(1,), to=(4, 8))"
    runs(space)


def test_samples_of_several_widths_are_uniform_over_networks() -> None:
    """A network without blocks has one encoding of the many that its variables could have."""
    space = of([Stage(Block, to=(4, 8, 16), depth=(0, 1, 2), inner=(1, 2)), Stage(Block, to=8)])
    assert space.size == 1 + 3 * (2 + 4)
    drawn = Counter(map(tuple, space.sample(200 * space.size, np.random.default_rng(0)).tolist()))
    n_drawn = [drawn[tuple(row)] for row in every_row(space).tolist()]
    assert sum(n_drawn) == 200 * space.size
    assert chisquare(n_drawn).pvalue > 1e-3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: stage(Block, to=()), r"`to` of Block must be at least one, each once, .*\(\)"),
        (lambda: stage(Block, to=(8, 8)), r"each once, but are \(8, 8\)"),
        (lambda: stage(Block, to=[8, 16]), r"`to` of Block must be a .*\[8, 16\]. Choices are"),
        (lambda: stage(Narrow, to=(4, 8)), "Narrow has no parameter 'to'"),
        (lambda: of([Stage(Block, to=(4, 8), depth=(0, 1))] * 2), "9 encodings .* are 7 networks"),
    ],
)
def test_widths_that_cannot_be_chosen_are_refused_in_a_sentence(make: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)


def test_stages_of_the_same_blocks_may_follow_each_other_where_networks_differ() -> None:
    assert of([TWICE, Stage(Block, depth=2)]).size == 2
    assert of([TWICE, Stage(Block, stride=2), TWICE]).size == 4


@pytest.mark.parametrize("value", ["relu", "3x3", "gelu-tanh", "a.b", "a+b", True, 0.5, -1])
def test_values_of_parameters_stand_in_keys_as_they_are(value: object) -> None:
    workload = Workload("op", (("p", value),), ((1,),), "torch.nn:Identity")
    assert workload.key == f"op(p={value})[1]f32"


@pytest.mark.parametrize(
    "value", ["", "1", "1e3", "nan", "True", "a b", "a,b", "a=1", "(a)", "a\n", None, float("inf")]
)
def test_values_that_keys_cannot_tell_from_others_are_refused(value: object) -> None:
    with pytest.raises(ContractError, match="`params` must be"):
        Workload("op", (("p", value),), ((1,),), "torch.nn:Identity")
