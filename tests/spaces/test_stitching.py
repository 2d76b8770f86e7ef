from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from scipy.stats import chisquare
from strategies import canonical_rows, rows

from tailorbird import spaces
from tailorbird.spaces import IntArray
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching import BelowLargerAnchor, StitchSpace, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet

DIGITS = StitchSpace(DigitsResNet(batch=1), Windows(3, 1), max_stitches=3)


def all_rows(space: StitchSpace) -> IntArray:
    return np.array(list(product(*(range(len(v.choices)) for v in space.variables))))


def enumerated(space: StitchSpace, chunk: int = 1000) -> IntArray:
    return np.vstack(list(space.enumerate(chunk)))


def test_digits_resnet_has_the_size_that_was_counted_elsewhere() -> None:
    assert DIGITS.size == 4795  # counted by a recursion of its own over (anchor, entry, stitches)
    assert len(enumerated(DIGITS)) == 4795


@pytest.mark.parametrize(
    ("name", "n_left"),
    [
        ("cifar-resnet", 45),
        ("deit-ti-s-b", 64),
        ("deit3-s-l", 22),
        ("digits-resnet", 61),
        ("efficientnet-lite-0-1-2", 23),
        ("resnet-18-50", 8),
        ("swin-ti-s-b", 35),
    ],
)
def test_networks_below_their_larger_anchor_are_those_that_cost_less(
    name: str, n_left: int
) -> None:
    whole = spaces.get(name, max_stitches=1)
    assert isinstance(whole, StitchSpace)
    limited = StitchSpace(
        whole.family, BelowLargerAnchor(whole.rule), max_stitches=whole.max_stitches
    )
    assert limited.name == spaces.get(name, max_stitches=1, below_larger_anchor=True).name
    X = whole.crossings
    ends = [max(stitch.source, stitch.target) for stitch in whole.stitches]
    less = count_macs(whole, X) < count_macs(whole, whole.landmarks)[ends]
    assert limited.stitches == tuple(
        s for s, is_left in zip(whole.stitches, less, strict=True) if is_left
    )
    assert len(limited.stitches) == n_left
    np.testing.assert_array_equal(limited.landmarks, whole.landmarks)


def test_so_are_networks_that_cross_several_stitches() -> None:
    space = StitchSpace(DIGITS.family, BelowLargerAnchor(Windows(3, 1, "all")), max_stitches=3)
    X = space.sample(5_000, np.random.default_rng(0))
    X = X[X[:, 1:].any(axis=1)]
    last = [max(space.stitches[slot - 1].target for slot in row[1:] if slot) for row in X]
    assert (count_macs(space, X) < count_macs(space, space.landmarks)[last]).all()


def test_deit_has_the_published_configurations(deit_like_space: StitchSpace) -> None:
    assert deit_like_space.size == 71  # SN-Net, DeiT-Ti/S/B with kernel 2 and stride 1


def test_enumeration_size_and_brute_force_agree(tiny_space: StitchSpace) -> None:
    brute = np.unique(tiny_space.repair(all_rows(tiny_space)), axis=0)
    rows = enumerated(tiny_space, chunk=7)
    assert len(rows) == tiny_space.size == len(brute)
    np.testing.assert_array_equal(np.unique(rows, axis=0), brute)


@pytest.mark.parametrize("max_stitches", [0, 1, 2, 4])
def test_every_limit_of_stitches_enumerates(tiny_space: StitchSpace, max_stitches: int) -> None:
    space = tiny_space.with_at_most(max_stitches)
    rows = enumerated(space)
    assert len(np.unique(rows, axis=0)) == space.size
    assert (np.count_nonzero(rows[:, 1:], axis=1) <= max_stitches).all()


@given(rows(DIGITS))
def test_repair_is_idempotent_and_canonical(X: IntArray) -> None:
    once = DIGITS.repair(X)
    np.testing.assert_array_equal(DIGITS.repair(once), once)
    DIGITS.count_workloads(once)  # refuses what is not canonical


@given(rows(DIGITS))
def test_repair_keeps_the_stitches_that_continue_the_route(X: IntArray) -> None:
    for row, repaired in zip(X, DIGITS.repair(X), strict=True):
        anchor, entry, kept = int(row[0]), 0, []
        for choice in row[1:]:
            text = DIGITS.variables[1].choices[choice]
            if text == "none":
                continue
            leave, enter = (end.split(":") for end in text.split(">"))
            if DIGITS.family.anchors.index(leave[0]) == anchor and int(leave[1]) >= entry:
                anchor, entry = anchor + 1, int(enter[1])
                kept.append(int(choice))
        assert repaired.tolist() == [row[0], *kept, *[0] * (3 - len(kept))]


def test_canonical_rows_survive_repair() -> None:
    rows = enumerated(DIGITS)
    np.testing.assert_array_equal(DIGITS.repair(rows), rows)


def test_sampling_is_uniform_over_architectures(tiny_space: StitchSpace) -> None:
    rows = [tuple(r) for r in enumerated(tiny_space)]
    drawn = Counter(map(tuple, tiny_space.sample(100 * len(rows), np.random.default_rng(3))))
    assert set(drawn) <= set(rows)
    assert chisquare([drawn[row] for row in rows]).pvalue > 1e-3


def test_the_same_seed_samples_the_same_rows() -> None:
    first, second = (DIGITS.sample(50, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_descriptions_tell_architectures_apart() -> None:
    texts = [DIGITS.describe(row) for row in enumerated(DIGITS)]
    assert len(set(texts)) == len(texts)
    assert texts[0] == "w4:0-5"


def test_a_description_names_the_blocks_that_run() -> None:
    stitch = DIGITS.variables[1].choices.index("w8:2>w16:1")
    assert DIGITS.describe(np.array([1, stitch, 0, 0])) == "w8:0-2 > w16:1-5"


def test_anchors_are_landmarks() -> None:
    assert [DIGITS.kind(row) for row in DIGITS.landmarks] == ["anchor"] * 4
    kinds = Counter(DIGITS.kind(row) for row in enumerated(DIGITS))
    assert kinds == {"anchor": 4, "stitched": 4791}


def workloads_run(network: Any, x: Any) -> Counter[str]:
    """Keys of the workloads that a forward pass runs, read off the modules and their inputs."""
    ran = Counter[str]()
    known = {type(w.build()): w for w in DIGITS.workloads}

    def count(module: Any, inputs: tuple[Any], _: object) -> None:
        convs = [m for m in module.modules() if hasattr(m, "out_channels")]
        width = convs[0].in_channels if convs else module.linear.in_features
        params = {
            "embedding": lambda: f"width={convs[0].out_channels}",
            "residual_block": lambda: f"width={width}",
            "stitch": lambda: f"width={width},to={convs[0].out_channels}",
            "head": lambda: f"width={width},classes=10",
        }
        op, shape = known[type(module)].op, "x".join(map(str, inputs[0].shape))
        ran[f"{op}({params[op]()})[{shape}]f32"] += 1

    for module in network:
        module.register_forward_hook(count)
    network(x)
    return ran


def test_counts_of_a_route_equal_the_blocks_that_the_built_module_runs() -> None:
    import torch

    keys = [w.key for w in DIGITS.workloads]
    rows = np.vstack([DIGITS.landmarks, DIGITS.sample(25, np.random.default_rng(0))])
    for row, counts in zip(rows, DIGITS.count_workloads(rows).toarray(), strict=True):
        ran = workloads_run(DIGITS.build(row), torch.zeros(DIGITS.input_shape))
        assert ran == {k: n for k, n in zip(keys, counts, strict=True) if n}


def test_equal_canonical_rows_build_networks_with_equal_outputs() -> None:
    import torch

    first = DIGITS.variables[1].choices.index("w8:2>w16:1")
    illegal = DIGITS.variables[1].choices.index("w4:0>w8:0")
    raw = np.array([[1, first, 0, 0], [1, 0, first, 0], [1, illegal, 0, first]])
    outputs = []
    for row in DIGITS.repair(raw):
        torch.manual_seed(0)
        outputs.append(DIGITS.build(row).eval()(torch.ones(3, 1, 8, 8)))
    for output in outputs[1:]:
        torch.testing.assert_close(output, outputs[0], rtol=0, atol=0)


def test_rows_that_are_not_canonical_are_refused() -> None:
    with pytest.raises(ValueError, match=r"row 1 is \[0, 0, 1, 0\].*repair"):
        DIGITS.count_workloads(np.array([[0, 0, 0, 0], [0, 0, 1, 0]]))
    with pytest.raises(ValueError, match="repair"):
        DIGITS.count_workloads(np.array([[0, 999, 0, 0]]))


def test_a_space_that_is_too_large_refuses_enumeration() -> None:
    huge = spaces.get("digits-resnet", kernel=6, max_stitches=3)
    assert huge.size > DIGITS.size
    from tailorbird.spaces import layered

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layered, "MAX_ENUMERATED", 1000)
        with pytest.raises(ValueError, match=f"{huge.size:,}"):
            next(huge.enumerate())


@given(canonical_rows(DIGITS))
def test_counts_add_up_over_rows(X: IntArray) -> None:
    together = DIGITS.count_workloads(X).toarray()
    for row, counts in zip(X, together, strict=True):
        np.testing.assert_array_equal(DIGITS.count_workloads(row[None]).toarray()[0], counts)
