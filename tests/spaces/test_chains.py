from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from strategies import rows_within
from timm.models._efficientnet_blocks import InvertedResidual, SqueezeExcite
from torch import nn

from tailorbird import spaces
from tailorbird.errors import RecipeError
from tailorbird.spaces import IntArray, Workload
from tailorbird.spaces.chains import Chain, OFAMobileNetV3
from tailorbird.spaces.chains.modules import GroupedBlock, MobileBlock
from tailorbird.spaces.chains.operator_layers import OperatorLayers
from tailorbird.spaces.chains.width import multiple_of_8
from tailorbird.spaces.footprint import count_macs, n_macs


def chain(name: str, **settings: object) -> Chain:
    space = spaces.get(name, **settings)
    assert isinstance(space, Chain)
    return space


MACRO = chain("macro-mobilenetv2", batch=2)
FBNET = chain("fbnet", batch=2)
OFA = chain("ofa-mobilenetv3", batch=2)
ODD_OFA = chain("ofa-mobilenetv3", batch=2, resolution=100, width_mult=1.2, n_classes=7)
SPACES = {"macro": MACRO, "fbnet": FBNET, "ofa": OFA, "odd ofa": ODD_OFA}
ALL_MACRO = np.array(list(product(range(3), repeat=8)))

each_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())


def n_choices(space: Chain) -> list[int]:
    return [len(variable.choices) for variable in space.variables]


def neighbours(space: Chain, row: IntArray) -> IntArray:
    """The row with one variable changed, in every way, made canonical."""
    rows = []
    for column, n in enumerate(n_choices(space)):
        for choice in range(n):
            changed = row.copy()
            changed[column] = choice
            rows.append(changed)
    return space.repair(np.array(rows))


def plain_route(space: Chain, row: IntArray) -> tuple[Workload, ...]:
    """What the layers' choices stand for, one after the other, canonical or not."""
    layout = space.layout
    assert isinstance(layout, OperatorLayers)
    layers = [options for stage in layout.stages for options in stage]
    between = [w for options, choice in zip(layers, row, strict=True) for w in options[choice]]
    return (*layout.first, *between, *layout.last[0])


def workloads_of(space: Chain, row: IntArray) -> tuple[Workload, ...]:
    return tuple(piece.workload for piece in space.route(row))


@each_space
@given(seed=st.integers(0, 2**32 - 1))
def test_rows_are_canonical_iff_repair_keeps_them(space: Chain, seed: int) -> None:
    X = rows_within(space, 8, seed)
    once = space.repair(X)
    np.testing.assert_array_equal(space.repair(once), once)
    assert ((once >= 0) & (once < n_choices(space))).all()
    for row, repaired in zip(X, once, strict=True):
        if (row == repaired).all():
            space.count_workloads(row[None])
        else:
            with pytest.raises(ValueError, match="canonical"):
                space.count_workloads(row[None])
            with pytest.raises(ValueError, match="canonical"):
                space.build(row)


@each_space
def test_rows_out_of_range_are_refused(space: Chain) -> None:
    for wrong in (-1, 99):
        row = space.landmarks[-1].copy()
        row[0] = wrong
        with pytest.raises(ValueError, match="canonical"):
            space.count_workloads(row[None])
        with pytest.raises(ValueError, match="canonical"):
            space.route(row)
    with pytest.raises(ValueError, match="canonical"):
        space.route(space.landmarks[0][:-1])


@pytest.mark.parametrize("space", [MACRO, FBNET])
def test_repair_keeps_the_blocks_and_their_order(space: Chain) -> None:
    X = rows_within(space, 500, seed=0)
    for row, repaired in zip(X, space.repair(X), strict=True):
        assert plain_route(space, row) == workloads_of(space, repaired)


@pytest.mark.parametrize(
    ("space", "widths"), [(OFA, (24, 40, 80, 112, 160)), (ODD_OFA, (32, 48, 96, 136, 192))]
)
def test_blocks_of_ofa_are_those_that_its_genes_say(space: Chain, widths: tuple[int, ...]) -> None:
    X = rows_within(space, 200, seed=0)
    for row, repaired in zip(X, space.repair(X), strict=True):
        genes = {v.name: int(v.choices[c]) for v, c in zip(space.variables, row, strict=True)}
        said = [
            (width, genes[f"ks{slot:02}"], genes[f"e{slot:02}"])
            for stage, width in enumerate(widths)
            for slot in range(4 * stage, 4 * stage + genes[f"d{stage}"])
        ]
        params = [dict(w.params) for w in workloads_of(space, repaired)[2:-3]]
        assert [(p["to"], p["kernel"], p["expand"]) for p in params] == said


def test_all_of_macro_are_enumerated_once() -> None:
    rows = np.vstack(list(MACRO.enumerate(chunk=1000)))
    brute = np.unique(MACRO.repair(ALL_MACRO), axis=0)
    assert MACRO.size == len(rows) == len(brute) == 3969
    np.testing.assert_array_equal(np.unique(rows, axis=0), brute)
    np.testing.assert_array_equal(MACRO.repair(rows), rows)
    assert len({workloads_of(MACRO, row) for row in rows}) == 3969
    assert len({MACRO.describe(row) for row in rows}) == 3969


def test_macro_has_as_many_networks_as_plain_rows_have_routes() -> None:
    assert len({plain_route(MACRO, row) for row in ALL_MACRO}) == 3969


@pytest.mark.parametrize(("space", "first", "n"), [(FBNET, 1, 9 * 585), (OFA, 0, 7371)])
def test_sizes_are_those_of_brute_force_in_each_stage(space: Chain, first: int, n: int) -> None:
    width = 4 if space is FBNET else 9
    genes = np.array(list(product(*map(range, n_choices(space)[first : first + width]))))
    X = np.zeros((len(genes), len(space.variables)), dtype=np.int64)
    X[:, first : first + width] = genes
    assert len(np.unique(space.repair(X), axis=0)) == n
    assert space.size == n**5 * (9 * 9 if space is FBNET else 1)


@each_space
def test_samples_are_canonical_and_repeatable(space: Chain) -> None:
    X, again = (space.sample(300, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(X, again)
    np.testing.assert_array_equal(space.repair(X), X)


def test_sampling_is_uniform_over_architectures() -> None:
    drawn = Counter(map(tuple, MACRO.sample(20 * MACRO.size, np.random.default_rng(3)).tolist()))
    n_drawn = [drawn[tuple(row)] for row in np.vstack(list(MACRO.enumerate())).tolist()]
    assert sum(n_drawn) == 20 * MACRO.size
    assert chisquare(n_drawn).pvalue > 1e-3


def test_depths_are_drawn_by_their_share_of_the_networks() -> None:
    depths = OFA.sample(20_000, np.random.default_rng(0))[:, 9]
    share = np.array([9**2, 9**3, 9**4]) / 7371
    assert chisquare(np.bincount(depths, minlength=3), 20_000 * share).pvalue > 1e-3


@each_space
def test_descriptions_tell_neighbours_apart(space: Chain) -> None:
    rows = np.unique(np.vstack([neighbours(space, row) for row in space.landmarks]), axis=0)
    assert len({space.describe(row) for row in rows}) == len(rows)
    assert {space.kind(row) for row in rows} == {"subnet"}


def test_descriptions_read_by_stage() -> None:
    row = MACRO.repair(np.array([[0, 1, 2, 0, 2, 1, 0, 0]]))[0]
    assert (
        MACRO.describe(row) == "Identity MB3_K3 | MB6_K5 MB6_K5 Identity | MB3_K3 Identity Identity"
    )
    assert OFA.describe(OFA.landmarks[0]) == " | ".join(["k3e3 k3e3"] * 5)
    assert FBNET.describe(FBNET.landmarks[-1]).startswith("skip | skip skip skip skip |")


@each_space
def test_counts_and_shapes_are_those_of_the_route(space: Chain) -> None:
    with torch.device("meta"):
        gives = {
            w: tuple(w.build().eval()(torch.empty(w.inputs[0])).shape) for w in space.workloads
        }
    rows = np.vstack([space.landmarks, space.sample(50, np.random.default_rng(2))])
    for row, counts in zip(rows, space.count_workloads(rows).toarray(), strict=True):
        route = workloads_of(space, row)
        assert Counter(route) == {w: n for w, n in zip(space.workloads, counts, strict=True) if n}
        assert route[0].inputs == (space.input_shape,)
        for one, following in pairwise(route):
            assert (gives[one],) == following.inputs
        (_, classes) = gives[route[-1]]
        assert gives[route[-1]] == (2, classes)
        assert classes == dict(route[-1].params)["classes"]


@each_space
def test_networks_run_and_cost_what_their_workloads_do(space: Chain) -> None:
    rows = space.sample(2, np.random.default_rng(5))
    for row, macs in zip(rows, count_macs(space, rows), strict=True):
        with torch.device("meta"):
            assert n_macs(space.build(row).eval(), (space.input_shape,)) == macs
    with torch.inference_mode():
        logits = space.build(rows[0]).eval()(torch.randn(space.input_shape))
    assert logits.shape == (2, dict(workloads_of(space, rows[0])[-1].params)["classes"])
    assert logits.isfinite().all()


@pytest.mark.parametrize("space", [MACRO, FBNET])
def test_equal_architectures_have_equal_parameters(space: Chain) -> None:
    X = rows_within(space, 50, seed=0)
    canonical = space.repair(X)
    i = int(np.argmax((canonical != X).any(axis=1)))
    with torch.device("meta"):
        plain = nn.Sequential(*(w.build() for w in plain_route(space, X[i])))
        built = space.build(canonical[i])
    assert [p.shape for p in built.parameters()] == [p.shape for p in plain.parameters()]


@each_space
def test_landmarks_hold_the_smallest_and_the_largest(space: Chain) -> None:
    # Layers cost independently of each other, so no better neighbour means none at all.
    np.testing.assert_array_equal(space.repair(space.landmarks), space.landmarks)
    near = np.vstack([neighbours(space, row) for row in space.landmarks])
    macs = count_macs(space, np.vstack([space.landmarks, near]))
    of_landmarks = macs[: len(space.landmarks)]
    assert of_landmarks.min() == macs.min()
    assert of_landmarks.max() == macs.max()


@pytest.mark.parametrize("name", ["macro-mobilenetv2", "fbnet", "ofa-mobilenetv3"])
def test_batch_is_in_keys_and_not_in_the_name(name: str) -> None:
    one, four = spaces.get(name), spaces.get(name, batch=4)
    assert one.name == four.name
    assert one.input_shape[0] == 1
    assert not {w.key for w in one.workloads} & {w.key for w in four.workloads}
    assert len({w.key for w in one.workloads}) == len(one.workloads)


def test_names_hold_the_settings() -> None:
    assert ODD_OFA.name == "ofa-mobilenetv3(width_mult=1.2,resolution=100,n_classes=7)"
    assert MACRO.name == "macro-mobilenetv2(n_classes=10)"
    assert FBNET.name == "fbnet(n_classes=100)"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("fbnet", {"resolution": 32}, "no setting 'resolution'"),
        ("fbnet", {"batch": 0}, "'batch'.*greater than 0"),
        ("macro-mobilenetv2", {"n_classes": "10"}, "valid integer"),
        ("macro-mobilenetv2", {"n_classes": -1}, "'n_classes'.*greater than 0"),
        ("ofa-mobilenetv3", {"width_mult": 1.1}, "must be 1.0 or 1.2, but got 1.1"),
        ("ofa-mobilenetv3", {"resolution": 223}, "multiple of 4 .* but got 223"),
        ("ofa-mobilenetv3", {"resolution": 92}, "from 96 to 256, .* but got 92"),
        ("ofa-mobilenetv3", {"resolution": 260}, "from 96 to 256, .* but got 260"),
    ],
)
def test_wrong_settings_are_refused(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        spaces.get(name, **settings)


def test_genes_of_ofa_are_named_and_written_as_published() -> None:
    names = {"d": 5, "ks": 20, "e": 20}
    choices = {"d": ("2", "3", "4"), "ks": ("3", "5", "7"), "e": ("3", "4", "6")}
    found = Counter(variable.name.rstrip("0123456789") for variable in OFA.variables)
    assert found == names
    for variable in OFA.variables:
        assert variable.choices == choices[variable.name.rstrip("0123456789")]
    assert [v.name for v in OFA.variables[7:12]] == ["ks03", "e03", "d1", "ks04", "e04"]


@pytest.mark.parametrize(
    "resolution",
    [
        *range(96, 257, 32),
        *(pytest.param(r, marks=pytest.mark.long) for r in range(100, 257, 4) if r % 32),
    ],
)
def test_grids_of_ofa_fit_at_every_resolution(resolution: int) -> None:
    space = Chain(OFAMobileNetV3(1, resolution))
    with torch.device("meta"):
        largest = space.build(space.landmarks[-1]).eval()
        assert isinstance(largest, nn.Sequential)
        x = torch.empty(space.input_shape)
        for module, workload in zip(largest, workloads_of(space, space.landmarks[-1]), strict=True):
            assert workload.inputs == (tuple(x.shape),)
            x = module(x)


@pytest.mark.parametrize(
    ("width", "rounded"),
    [(3, 8), (11, 16), (18, 24), (19.2, 24), (28.8, 32), (36, 40), (134.4, 136), (1152.0, 1152)],
)
def test_widths_are_rounded_but_never_by_more_than_a_tenth_down(width: float, rounded: int) -> None:
    assert multiple_of_8(width) == rounded


class Squeeze(SqueezeExcite):
    def __init__(self, width: int, **_: object) -> None:
        super().__init__(width, rd_channels=multiple_of_8(width // 4), gate_layer=nn.Hardsigmoid)


@pytest.mark.parametrize(
    ("kernel", "stride", "expand", "to", "h_swish"),
    [(3, 1, 4, 24, 0), (5, 2, 3, 40, 1), (7, 1, 6, 40, 1)],
)
@pytest.mark.parametrize("se", [0, 1])
def test_mobile_blocks_do_what_those_of_timm_do(
    kernel: int, stride: int, expand: int, to: int, h_swish: int, se: int
) -> None:
    torch.manual_seed(0)

    reference = InvertedResidual(
        24,
        to,
        kernel,
        stride,
        exp_ratio=expand,
        act_layer=nn.Hardswish if h_swish else nn.ReLU,
        se_layer=Squeeze if se else None,
    ).eval()
    ours = MobileBlock(24, to, expand, kernel, stride, se, h_swish).eval()
    state = dict(zip(ours.state_dict(), reference.state_dict().values(), strict=True))
    for name, tensor in state.items():
        if tensor.is_floating_point() and "norm" in name:
            nn.init.uniform_(tensor, 0.5, 1.5)
    ours.load_state_dict(state)
    x = torch.randn(2, 24, 13, 13)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), reference(x))


@pytest.mark.parametrize("groups", [1, 2])
def test_grouped_blocks_shuffle_between_groups(groups: int) -> None:
    block = GroupedBlock(8, 8, 1, 3, 1, groups).eval()
    x = torch.randn(2, 8, 5, 5)
    plain = nn.Sequential(
        block.expand,
        nn.ReLU(),
        nn.ChannelShuffle(groups),
        block.depthwise,
        nn.ReLU(),
        block.project,
    )
    with torch.inference_mode():
        torch.testing.assert_close(block(x), x + plain(x))
