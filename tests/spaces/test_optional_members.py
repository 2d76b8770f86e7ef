"""What a space may bring beside the members that every space has."""

import numpy as np
import pytest

from tailorbird import spaces
from tailorbird.search.algorithms.variation import Mutation
from tailorbird.spaces import IntArray
from tailorbird.spaces.layered import LayeredGraph, graph_of
from tailorbird.spaces.space import HasMutation, HasPaths, HasPeakMemory, SearchSpace, Step


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("digits-resnet", (HasMutation,)),
        ("fbnet", ()),
        ("nasbench201", (HasPaths, HasPeakMemory)),
    ],
)
def test_spaces_bring_what_suits_them(name: str, members: tuple[type, ...]) -> None:
    space = spaces.get(name)
    brought = {one for one in (HasMutation, HasPaths, HasPeakMemory) if isinstance(space, one)}
    assert brought == set(members)
    assert isinstance(graph_of(space), LayeredGraph) == (name != "nasbench201")


def test_a_space_without_stitches_has_no_steps_of_stitches() -> None:
    space = spaces.get("digits-resnet", max_stitches=0)
    assert isinstance(space, HasMutation)
    assert space.mutation() is None


class Own:
    """Three variables, of which its own mutation changes the last; its graph is another thing."""

    variables = spaces.get("fbnet").variables[:3]
    workloads = spaces.get("fbnet").workloads
    graph = "of calls"

    def repair(self, X: IntArray) -> IntArray:
        return X

    def mutation(self) -> Step:
        return lambda X, rng: np.add(X, [0, 0, 1])


def test_a_mutation_of_a_space_is_used_and_a_graph_of_another_kind_is_not() -> None:
    space: SearchSpace = Own()  # type: ignore[assignment]  # all that is asked of it
    X = np.zeros((2, 3), dtype=np.int64)
    mutated = Mutation(space)(X, np.random.default_rng(0))
    np.testing.assert_array_equal(mutated, [[0, 0, 1]] * 2)
    assert graph_of(space) is None
