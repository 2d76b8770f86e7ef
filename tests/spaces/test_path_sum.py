"""Sums along paths against the obvious way: counts times values, in every space that has a name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import rows_within

from tailorbird import spaces
from tailorbird.spaces import SearchSpace, registry
from tailorbird.spaces.layered import LayeredGraph
from tailorbird.spaces.path_sum import PathSum, adder

SPACES = {name: spaces.get(name) for name in sorted(registry.SPACES)}
SPACES["deit-ti-s-b, 3 stitches"] = spaces.get("deit-ti-s-b", max_stitches=3)
SPACES["digits-resnet, both ways"] = spaces.get("digits-resnet", pairs="all", max_stitches=2)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 50))
def test_a_sum_is_counts_times_values(space: SearchSpace, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    X, values = space.sample(n, rng), rng.uniform(-1, 5, len(space.workloads))
    expected = space.count_workloads(X) @ values
    np.testing.assert_allclose(adder(space, values)(X), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@given(seed=st.integers(0, 2**32 - 1))
def test_rows_are_refused_unless_they_are_canonical(space: SearchSpace, seed: int) -> None:
    X = rows_within(space, 50, seed)
    add_up = adder(space, np.ones(len(space.workloads)))
    is_canonical = (space.repair(X) == X).all(axis=1)
    for row in X[~is_canonical][:5]:
        with pytest.raises(ValueError, match="canonical"):
            add_up(row[None])
    assert (add_up(space.repair(X)) > 0).all()


@pytest.fixture
def graph() -> LayeredGraph:
    found = getattr(SPACES["deit-ti-s-b, 3 stitches"], "graph", None)
    assert isinstance(found, LayeredGraph)
    return found


@pytest.mark.parametrize("wrong", [-1, -(2**63), 2**40, 2**63 - 1])
def test_what_is_no_choice_at_all_is_refused_and_named(graph: LayeredGraph, wrong: int) -> None:
    """Also beyond the rows that are added up at once."""
    X = graph.sample(40_000, np.random.default_rng(0))
    add_up = PathSum(graph, np.ones(graph.final.shape[1]))
    for column in range(X.shape[1]):
        broken = X.copy()
        broken[30_000, column] = wrong
        for use in (add_up, graph.count):
            with pytest.raises(ValueError, match=rf"row 30000 is \[.*{wrong}.*`repair` first"):
                use(broken)


def test_rows_must_be_as_wide_as_the_space(graph: LayeredGraph) -> None:
    add_up = PathSum(graph, np.ones(graph.final.shape[1]))
    for use in (add_up, graph.count):
        with pytest.raises(ValueError, match="Rows must have 4 values, one per variable, but"):
            use(np.zeros((2, 3), dtype=np.int64))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_memory_does_not_matter(graph: LayeredGraph, dtype: type) -> None:
    X = graph.sample(20_000, np.random.default_rng(0))
    values = np.random.default_rng(1).uniform(1, 2, graph.final.shape[1])
    add_up = PathSum(graph, values)
    expected = graph.count(X) @ values
    for same in (X.astype(dtype), np.asfortranarray(X.astype(dtype)), X[::-1].copy()[::-1]):
        np.testing.assert_allclose(add_up(same), expected, rtol=1e-9)
        assert abs(graph.count(same) - graph.count(X)).max() == 0


def test_counts_are_those_of_each_step(graph: LayeredGraph) -> None:
    """Layer by layer, as the graph says."""
    X = graph.sample(200, np.random.default_rng(0))
    counted = graph.count(X)
    assert counted.has_canonical_format
    for row, total in zip(X, counted.toarray(), strict=True):
        state, slow = 0, np.zeros(graph.final.shape[1], dtype=np.int64)
        for layer, choice in zip(graph.layers, row, strict=True):
            (edge,) = np.flatnonzero((layer.source == state) & (layer.choice == choice))
            slow += layer.counts[[edge]].toarray()[0]
            state = layer.target[edge]
        slow += graph.final[[state]].toarray()[0]
        np.testing.assert_array_equal(total, slow)
