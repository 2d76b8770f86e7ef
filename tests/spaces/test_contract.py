"""What is refused of a user's space before anything rests on it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from own_code import BarePerceptrons, Free
from scipy.sparse import csr_array

from tailorbird.errors import ContractError
from tailorbird.spaces import IntArray
from tailorbird.spaces.contract import check_space
from tailorbird.spaces.layered import graph_of


class Counts(Free):
    def count_workloads(self, X: IntArray) -> csr_array:
        return csr_array(np.ones((len(X), 1), dtype=np.int64))


class Unlisted(Free):
    def enumerate(self, chunk: int = 65_536) -> Iterator[IntArray]:
        raise ValueError("nobody listed them")


@pytest.mark.parametrize(
    ("space", "law"),
    [
        (Counts(), r"`count_workloads\(X\)` .* must be a sparse array of shape \(8, 0\)"),
        (Unlisted(), r"all rows of a space of at most 200,000 networks.*nobody listed them"),
    ],
)
def test_a_bare_space_is_checked(space: Any, law: str) -> None:
    with pytest.raises(ContractError, match=law):
        check_space(space)


def test_a_space_too_large_to_list_need_not_be() -> None:
    space = Unlisted((("off", "on"),) * 18)
    assert check_space(space) is space


def test_only_a_space_of_all_rows_is_layered_without_saying_so() -> None:
    space = Free()
    graph = graph_of(space)
    assert graph is not None
    X = space.sample(20, np.random.default_rng(0))
    assert graph.size == space.size
    assert graph.count(X).shape == (20, 0)
    with pytest.raises(ValueError, match="must be canonical"):
        graph.edges(X + 9)
    assert graph_of(BarePerceptrons()) is None
