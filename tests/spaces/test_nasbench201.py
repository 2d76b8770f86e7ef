from itertools import product

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import nn

from tailorbird import spaces
from tailorbird.errors import RecipeError
from tailorbird.spaces import IntArray
from tailorbird.spaces.cells import NasBench201
from tailorbird.spaces.footprint import count_macs, n_macs

SPACE = NasBench201()
ALL = np.array(list(product(range(5), repeat=6)), dtype=np.int64)
DISTINCT = np.vstack(list(SPACE.enumerate()))

DEAD = [0, 0, 0, 0, 0, 0]
CONVOLUTIONS, SKIPS = SPACE.landmarks.tolist()
MIXED = [3, 3, 4, 1, 3, 1]
BEHIND_A_GAP = [0, 2, 0, 0, 0, 4]  # node 1 stays empty
SEVERAL = np.array([DEAD, CONVOLUTIONS, SKIPS, MIXED, BEHIND_A_GAP])


def paths(present: set[str], node: int = 0) -> list[set[str]]:
    """The edges of each walk from a node to node 3."""
    if node == 3:
        return [set()]
    return [
        {edge, *rest}
        for edge in present
        if edge.startswith(f"op_{node}_")
        for rest in paths(present, int(edge[-1]))
    ]


def slowly_repaired(row: list[int]) -> list[int]:
    operations = {v.name: op for v, op in zip(SPACE.variables, row, strict=True)}
    walks = paths({edge for edge, op in operations.items() if op})
    live = {edge for walk in walks for edge in walk}
    return [op if edge in live else 0 for edge, op in operations.items()]


def varied(module: nn.Module) -> nn.Module:
    """In evaluation mode, with norms that show if one is left out."""
    for norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.2)
    return module.eval()


def test_repair_agrees_with_a_search_for_paths() -> None:
    slow = np.array([slowly_repaired(row) for row in ALL.tolist()])
    np.testing.assert_array_equal(SPACE.repair(ALL), slow)


def test_repair_is_idempotent() -> None:
    once = SPACE.repair(ALL)
    np.testing.assert_array_equal(SPACE.repair(once), once)


def test_size_counts_each_distinct_row_once() -> None:
    brute = np.unique(SPACE.repair(ALL), axis=0)
    assert SPACE.size == len(brute) == len(DISTINCT) == 9445
    np.testing.assert_array_equal(np.unique(DISTINCT, axis=0), brute)
    chunks = list(SPACE.enumerate(chunk=1000))
    assert [len(chunk) for chunk in chunks] == [1000] * 9 + [445]
    np.testing.assert_array_equal(np.vstack(chunks), DISTINCT)


def test_distinct_cells_have_distinct_texts() -> None:
    assert len({SPACE.describe(row) for row in DISTINCT}) == SPACE.size


def test_texts_are_those_of_the_benchmark() -> None:
    assert SPACE.describe(np.array(MIXED)) == (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|"
        "+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
    )


def test_sampling_is_uniform_over_distinct_cells() -> None:
    X = SPACE.sample(200_000, np.random.default_rng(0))
    np.testing.assert_array_equal(SPACE.repair(X), X)
    _, counts = np.unique(X, axis=0, return_counts=True)
    assert chisquare([*counts, *[0] * (SPACE.size - len(counts))]).pvalue > 1e-3


def test_landmarks_are_canonical() -> None:
    np.testing.assert_array_equal(SPACE.repair(SPACE.landmarks), SPACE.landmarks)
    assert SPACE.kind(SPACE.landmarks[0]) == "cell"


# Least and most of the CIFAR-10 networks, as users of nas_201_api list them: 0.073306 and 1.531546
# million parameters, 7.78305 and 220.11969 million FLOPs, by which the benchmark means
# multiply-adds. Ours are 10 fewer, as many as the head has biases.
@pytest.mark.parametrize(
    ("row", "n_params", "macs"),
    [
        (CONVOLUTIONS, 1_531_546, 220.11969e6),
        (SKIPS, 73_306, 7.78305e6),
        (DEAD, 73_306, 7.78305e6),
    ],
)
def test_networks_are_as_large_as_published(row: list[int], n_params: int, macs: float) -> None:
    network = SPACE.build(np.array(row))
    assert sum(p.numel() for p in network.parameters()) == n_params
    assert n_macs(network.eval(), (SPACE.input_shape,)) == pytest.approx(macs, rel=1e-5)


def test_macs_of_networks_are_the_sums_of_their_workloads() -> None:
    space = NasBench201(batch=2)
    X = np.vstack([SEVERAL, space.sample(5, np.random.default_rng(0))])
    with torch.device("meta"):
        networks = [space.build(row).eval() for row in X]
    expected = [n_macs(network, (space.input_shape,)) for network in networks]
    np.testing.assert_array_equal(count_macs(space, X), expected)


def test_workloads_are_counted_as_by_hand() -> None:
    counts = SPACE.count_workloads(SEVERAL).toarray()
    n_of_stage = {  # 1x1, 3x3, pool, add
        0: [0, 0, 0, 0],
        1: [0, 30, 0, 15],
        2: [0, 0, 0, 15],
        3: [0, 15, 5, 15],
        4: [5, 0, 5, 0],
    }
    for row, expected in n_of_stage.items():
        np.testing.assert_array_equal(counts[row], [*expected * 3, 1, 1, 1, 1])
    keys = [workload.key for workload in SPACE.workloads]
    assert len(set(keys)) == len(keys) == 16
    assert keys[7] == "add()[1x32x16x16,1x32x16x16]f32"


def test_a_network_holds_the_modules_that_are_counted() -> None:
    kinds = [type(workload.build()).__name__ for workload in SPACE.workloads]
    for row in SEVERAL:
        counts = SPACE.count_workloads(row[None]).toarray()[0]
        cells = [m for m in SPACE.build(row).modules() if type(m).__name__ == "Cell"]
        assert len(cells) == 15
        for kind in ("Convolution", "Pool"):
            counted = sum(n for n, name in zip(counts, kinds, strict=True) if name == kind)
            held = sum(type(m).__name__ == kind for c in cells for m in c.modules())
            assert held == counted


@pytest.mark.parametrize("row", SEVERAL.tolist())
def test_networks_run(row: list[int]) -> None:
    torch.manual_seed(0)
    space = NasBench201(batch=2, n_classes=100)
    network = varied(space.build(np.array(row)))
    with torch.inference_mode():
        logits = network(torch.randn(space.input_shape))
    assert logits.shape == (2, 100)
    assert logits.isfinite().all()
    assert torch.equal(logits[0], logits[1]) == (row == DEAD)


def test_a_cell_computes_its_graph() -> None:
    torch.manual_seed(0)
    network = varied(SPACE.build(np.array(MIXED)))
    cell = network.get_submodule("1")
    first, second, pool, skip, third, _ = cell.get_submodule("operations").children()
    x = torch.randn(2, 16, 32, 32)
    with torch.inference_mode():
        one = first(x)
        two = second(x) + pool(one)
        torch.testing.assert_close(cell(x), skip(x) + third(one) + two)


def test_pools_average_what_lies_inside() -> None:
    pool = SPACE.workloads[2].build()
    y = pool(torch.ones(1, 16, 32, 32))
    torch.testing.assert_close(y, torch.ones_like(y))


def test_a_dead_cell_gives_zeros() -> None:
    cell = SPACE.build(np.array(DEAD)).get_submodule("1")
    assert not cell(torch.randn(1, 16, 32, 32)).any()


@pytest.mark.parametrize(
    "rows",
    [
        np.array([[3, 0, 0, 0, 0, 0]]),
        np.array([[0, 0, 0, 5, 0, 0]]),
        np.array([[0, 0, 0, -1, 0, 0]]),
    ],
)
def test_rows_that_are_not_canonical_are_refused(rows: IntArray) -> None:
    for refused in (SPACE.count_workloads, lambda X: SPACE.build(X[0])):
        with pytest.raises(ValueError, match="must be canonical, but row 0 is"):
            refused(rows)


def test_rows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="must have 6 values"):
        SPACE.count_workloads(np.zeros((1, 5), dtype=np.int64))


def test_the_space_has_a_name_and_settings() -> None:
    space = spaces.get("nasbench201", batch=4, n_classes=120)
    assert space.name == "nasbench201(n_classes=120)"
    assert space.input_shape == (4, 3, 32, 32)
    assert all(shape[0] == 4 for workload in space.workloads for shape in workload.inputs)
    with pytest.raises(RecipeError, match="`batch >= 1` must hold, but got 0"):
        spaces.get("nasbench201", batch=0)
