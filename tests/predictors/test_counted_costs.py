import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailorbird import spaces
from tailorbird.predictors import Additive
from tailorbird.predictors.counted_costs import PathMax, PeakMemory, WorkloadSum
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.footprint import Footprint, footprint, workload_peak_bytes
from tailorbird.spaces.layered import LayeredGraph
from tailorbird.spaces.path_sum import PathSum


def graph_of(space: SearchSpace) -> LayeredGraph:
    graph = getattr(space, "graph", None)
    assert isinstance(graph, LayeredGraph)
    return graph


def of_the_whole_network(space: SearchSpace, row: IntArray) -> Footprint:
    import torch

    with torch.device("meta"):
        network = space.build(row)
    return footprint(network, (space.input_shape,))


def check_against_whole_networks(space: SearchSpace, X: IntArray) -> None:
    """Not nearly, but to the last byte."""
    whole = [of_the_whole_network(space, row) for row in X]
    for cost, expected in (
        (WorkloadSum.mega_macs(space), [f.n_macs / 1e6 for f in whole]),
        (WorkloadSum.mega_params(space), [f.n_params / 1e6 for f in whole]),
        (WorkloadSum.weight_mib(space), [f.weight_bytes / 2**20 for f in whole]),
    ):
        np.testing.assert_allclose(cost.mean(X), expected, rtol=1e-12)
    peaks = [f.peak_activation_bytes / 2**20 for f in whole]
    np.testing.assert_array_equal(PeakMemory(space).mean(X), peaks)


CELLS = [
    [0, 0, 0, 0, 0, 0],
    [3, 3, 3, 3, 3, 3],
    [1, 1, 1, 1, 1, 1],  # an edge that reads what another keeps
    [1, 1, 1, 0, 0, 1],  # adds a map to itself
    [0, 2, 0, 0, 0, 4],
    [2, 4, 1, 1, 3, 2],
]


@pytest.mark.parametrize("name", ["digits-resnet", "macro-mobilenetv2"])
@pytest.mark.long
def test_costs_are_those_of_the_whole_network(name: str) -> None:
    space = spaces.get(name, batch=2)
    rows = CELLS if name == "nasbench201" else space.sample(3, np.random.default_rng(0))
    check_against_whole_networks(space, np.array(rows))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "cifar-resnet",
        "deit-ti-s-b",
        "deit3-s-l",
        "efficientnet-lite-0-1-2",
        "fbnet",
        "nasbench201",
        "ofa-mobilenetv3",
        "resnet-18-50",
        "swin-ti-s-b",
    ],
)
def test_costs_are_those_of_the_whole_network_in_every_family(name: str) -> None:
    space = spaces.get(name)
    X = np.vstack([space.landmarks[:2], space.sample(4, np.random.default_rng(1))])
    check_against_whole_networks(space, X)


@pytest.mark.parametrize("name", ["digits-resnet", "nasbench201"])
def test_nothing_is_unsure_and_the_batch_scales_what_is_computed(name: str) -> None:
    small, large = spaces.get(name, batch=1), spaces.get(name, batch=3)
    X = small.sample(50, np.random.default_rng(0))
    for make, factor in (
        (WorkloadSum.mega_macs, 3),
        (WorkloadSum.mega_params, 1),
        (WorkloadSum.weight_mib, 1),
        (PeakMemory, 3),
    ):
        one, three = make(small), make(large)
        np.testing.assert_allclose(three.mean(X), factor * one.mean(X), rtol=1e-12)
        predicted = one.predict(X)
        np.testing.assert_array_equal(predicted.mean, one.mean(X))
        assert not predicted.std.any()
        assert len(one.mean(X[:0])) == 0


def test_a_sum_adds_up_along_the_paths_too() -> None:
    space = spaces.get("digits-resnet")
    graph = graph_of(space)
    cost = WorkloadSum.mega_macs(space)
    assert isinstance(cost, Additive)
    X = space.sample(100, np.random.default_rng(0))
    np.testing.assert_allclose(PathSum(graph, cost.along(graph))(X), cost.mean(X))


OFA = spaces.get("ofa-mobilenetv3")


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 40))
def test_the_largest_along_a_path_is_that_of_its_workloads(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    values: FloatArray = rng.random(len(OFA.workloads))
    X = OFA.sample(n, rng)
    counts = OFA.count_workloads(X).toarray()
    slow = [max(v for v, times in zip(values, row, strict=True) if times) for row in counts]
    np.testing.assert_array_equal(PathMax(graph_of(OFA), values)(X), slow)


@pytest.mark.parametrize("choice", [-1, 99])
def test_a_row_that_is_no_path_has_no_peak(choice: int) -> None:
    peak = PathMax(graph_of(OFA), np.ones(len(OFA.workloads)))
    X = OFA.sample(9_000, np.random.default_rng(0))
    X[8_500, 3] = choice
    with pytest.raises(ValueError, match="row 8500 is"):
        peak(X)
    with pytest.raises(ValueError, match="must have"):
        peak(X[:, 1:])
    with pytest.raises(ValueError, match="row 1 is"):
        PeakMemory(spaces.get("nasbench201")).mean(np.array([CELLS[0], [2, 0, 0, 0, 0, 0]]))


def test_a_space_that_is_no_graph_takes_the_largest_of_its_workloads() -> None:
    space = spaces.get("digits-resnet")
    X = space.sample(50, np.random.default_rng(0))

    class Unlayered:
        """The same, but only as a space."""

        workloads = space.workloads
        count_workloads = staticmethod(space.count_workloads)

    plain: SearchSpace = Unlayered()  # type: ignore[assignment]  # all that is asked of it
    np.testing.assert_array_equal(PeakMemory(plain).mean(X), PeakMemory(space).mean(X))
    assert PeakMemory(space).mean(X).max() == workload_peak_bytes(space.workloads).max() / 2**20
