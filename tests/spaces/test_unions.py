"""Unions: all networks of several spaces in one."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from own_code import BarePerceptrons, Perceptrons
from strategies import distinct_rows

from tailorbird import spaces
from tailorbird.errors import ContractError
from tailorbird.predictors.counted_costs import PathMax, WorkloadSum, peak_mib
from tailorbird.search import Objective, Problem, exact_front, nsga2, pareto_paths
from tailorbird.search.algorithms.exact.front import enumerated_front
from tailorbird.search.algorithms.variation import mutate
from tailorbird.spaces import IntArray, SearchSpace, union_of
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.layered import graph_of
from tailorbird.spaces.shared import HasPieces, Piece
from tailorbird.spaces.space import HasPeakMemory
from tailorbird.spaces.unions import labels_of, members_of

STITCHED = spaces.get("digits-resnet", batch=2, max_stitches=1)
ELASTIC = spaces.get("digits-elastic", batch=2)
UNION = union_of([STITCHED, ELASTIC])
ELASTIC_CIFAR, CELLS = spaces.get("cifar-elastic"), spaces.get("nasbench201")


class Others(Perceptrons):
    name: ClassVar = "others"


def all_of(space: SearchSpace) -> IntArray:
    return np.concatenate([*space.enumerate()])


def problem(space: SearchSpace) -> Problem:
    """Two costs that pull apart: of each workload one that its key decides, and its arithmetic."""
    keys = [workload.key for workload in space.workloads]
    noise = np.array([np.random.default_rng([*key.encode()]).uniform(0.2, 1.0) for key in keys])
    macs = WorkloadSum.mega_macs(space)
    worth = WorkloadSum(space, noise * np.sqrt(macs.values))
    objectives = (Objective("worth", "", "max", worth), Objective("latency", "ms", "min", macs))
    return Problem(space, objectives)


def test_a_union_has_the_networks_of_its_members_and_their_texts() -> None:
    X = all_of(UNION)
    assert UNION.size == STITCHED.size + ELASTIC.size == len(X)
    texts = [UNION.describe(row) for row in X]
    wanted = [f"digits-resnet: {STITCHED.describe(row)}" for row in all_of(STITCHED)]
    wanted += [f"digits-elastic: {ELASTIC.describe(row)}" for row in all_of(ELASTIC)]
    assert texts == wanted
    assert {UNION.kind(row) for row in X} == {"anchor", "stitched", "subnet"}
    assert UNION.name == f"union({STITCHED.name}, {ELASTIC.name})"
    assert UNION.variables[0].choices == ("digits-resnet", "digits-elastic")
    assert labels_of(X[[0, -1]], UNION) == ["digits-resnet", "digits-elastic"]
    assert labels_of(ELASTIC.landmarks[:1], ELASTIC) == ["digits-elastic"]
    assert members_of(UNION) == (STITCHED, ELASTIC)
    assert members_of(ELASTIC) == (ELASTIC,)


def test_members_have_equal_parts_of_a_sample() -> None:
    X = UNION.sample(2_000, np.random.default_rng(0))
    assert abs(X[:, 0].mean() - 0.5) < 0.05
    assert len(np.unique(X[X[:, 0] == 1], axis=0)) > 0.9 * ELASTIC.size


def test_a_workload_of_two_members_is_one_workload() -> None:
    alone, union = Perceptrons(), union_of([Perceptrons(), Others()])
    assert union.workloads == alone.workloads
    X, own = all_of(union), alone.count_workloads(all_of(alone)).toarray()
    np.testing.assert_array_equal(union.count_workloads(X).toarray(), np.vstack([own, own]))
    mixed = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_array_equal(
        union.count_workloads(X[mixed]).toarray(), np.vstack([own, own])[mixed]
    )


def test_workloads_of_members_are_counted_among_those_of_all() -> None:
    X, n = all_of(UNION), STITCHED.size
    assert len({*UNION.workloads}) == len(UNION.workloads)
    assert {*UNION.workloads} == {*STITCHED.workloads, *ELASTIC.workloads}
    np.testing.assert_array_equal(count_macs(UNION, X[:n]), count_macs(STITCHED, X[:n, 1:3]))
    np.testing.assert_array_equal(count_macs(UNION, X[n:]), count_macs(ELASTIC, X[n:, 3:]))


def test_paths_of_the_graph_are_the_canonical_rows() -> None:
    graph = graph_of(UNION)
    assert graph is not None
    X = all_of(UNION)
    assert graph.size == len(X)
    np.testing.assert_array_equal(np.concatenate([*graph.enumerate(97)]), X)
    np.testing.assert_array_equal(graph.count(X).toarray(), UNION.count_workloads(X).toarray())
    values = np.random.default_rng(0).random(len(UNION.workloads))
    np.testing.assert_allclose(WorkloadSum(UNION, values).mean(X), graph.count(X) @ values)
    held = np.where(UNION.count_workloads(X).toarray() > 0, values, 0)
    np.testing.assert_array_equal(PathMax(graph, values)(X), held.max(axis=1))


def test_a_union_with_a_space_that_is_not_layered_is_not_layered() -> None:
    assert graph_of(union_of([Perceptrons(), Others()])) is None


def test_rows_in_which_another_member_has_a_choice_are_no_networks() -> None:
    X = UNION.landmarks[:1].copy()
    X[0, -1] = 1
    for refused in (UNION.count_workloads, lambda X: UNION.describe(X[0])):
        with pytest.raises(ValueError, match="canonical"):
            refused(X)
    np.testing.assert_array_equal(UNION.repair(X), UNION.landmarks[:1])
    X[0, 0] = 2
    with pytest.raises(ValueError, match="canonical"):
        UNION.repair(X)


def test_the_exact_front_is_that_of_both_fronts_together() -> None:
    F = np.vstack([exact_front(problem(space)).F for space in (STITCHED, ELASTIC)])
    best = [row for row in F if not ((row >= F).all(axis=1) & (row > F).any(axis=1)).any()]
    wanted = np.unique(np.round(best, 9), axis=0)
    for front in (pareto_paths(problem(UNION)), enumerated_front(problem(UNION))):
        assert front.exact
        np.testing.assert_allclose(np.unique(front.F.round(9), axis=0), wanted)
        assert {*labels_of(front.X, UNION)} == {*UNION.labels}


def test_searches_find_networks_of_every_member() -> None:
    exact = exact_front(problem(UNION))
    ref_point = problem(UNION).reference_point(0)
    front = nsga2(problem(UNION), population=40, generations=40, seed=0)
    assert {*labels_of(front.X, UNION)} == {*UNION.labels}
    assert front.hypervolume(ref_point) > 0.98 * exact.hypervolume(ref_point)


def test_mutation_stays_in_a_member_or_now_and_then_leaves_it() -> None:
    X = np.repeat(UNION.sample(50, np.random.default_rng(0)), 40, axis=0)
    Y = mutate(UNION, X, np.random.default_rng(1))
    np.testing.assert_array_equal(UNION.repair(Y), Y)
    left = X[:, 0] != Y[:, 0]
    assert 0.03 < left.mean() < 0.08
    (at,) = np.nonzero(~left & (X[:, 0] == 1))
    assert ((X[at] != Y[at]).any(axis=1)).mean() > 0.99
    assert ((X[at] != Y[at]).sum(axis=1)).mean() < 3  # a step of a chain, and what is repaired


def test_networks_share_weights_with_those_of_their_member_alone() -> None:
    assert isinstance(UNION, HasPieces)
    names = [
        {piece.weights for piece in space.pieces}
        for space in (STITCHED, ELASTIC)
        if isinstance(space, HasPieces)
    ]
    wanted = {f"digits-resnet-{name}" for name in names[0]}
    wanted |= {f"digits-elastic-{name}" for name in names[1]}
    assert {piece.weights for piece in UNION.pieces} == wanted
    assert not isinstance(union_of([ELASTIC_CIFAR, CELLS]), HasPieces)


@pytest.mark.long
def test_peak_memory_is_followed_where_it_is_followed_in_a_member() -> None:
    assert not isinstance(UNION, HasPeakMemory)
    union = union_of([ELASTIC_CIFAR, CELLS])
    X = distinct_rows(union, 20)
    peaks = peak_mib(union).mean(X)
    for m, at, rows in union.rows.parts(X):
        np.testing.assert_allclose(peaks[at], peak_mib(union.members[m]).mean(rows))
    wrong = X[:1].copy()
    wrong[0, 1:] = 1
    with pytest.raises(ValueError, match="canonical"):
        peak_mib(union).mean(wrong)


@pytest.mark.parametrize(
    ("members", "law"),
    [
        ([ELASTIC], "A union must have two spaces at least, but has 1"),
        (
            [STITCHED, spaces.get("digits-resnet", batch=2)],
            "must have names of their own before settings, but two are 'digits-resnet'. Drop one",
        ),
        (
            [STITCHED, spaces.get("digits-elastic", batch=4)],
            r"the same images, but networks of digits-resnet.* take \(2, 1, 8, 8\), and those of "
            r"digits-elastic.* \(4, 1, 8, 8\). Run them alone",
        ),
        (
            [Perceptrons(), BarePerceptrons()],
            "all name their workloads, or none, but perceptrons names some and bare-perceptrons "
            "none. Name them",
        ),
    ],
)
def test_what_cannot_be_one_space_is_refused(members: list[SearchSpace], law: str) -> None:
    with pytest.raises(ContractError, match=law):
        union_of(members)


@dataclass
class Renamed:
    """A space with another name, and another beginning of the names of its weights."""

    space: Any
    name: str
    prefix: str = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.space, name)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return tuple(map(self._piece, self.space.pieces))

    def route(self, row: IntArray) -> tuple[Piece, ...]:
        return tuple(map(self._piece, self.space.route(row)))

    def _piece(self, piece: Piece) -> Piece:
        return Piece(piece.kind, f"{self.prefix}{piece.weights}", piece.workload)


def test_weights_that_two_members_would_share_are_refused() -> None:
    wide, other = Renamed(ELASTIC, "net-wide"), Renamed(ELASTIC, "net", "narrow-")
    union = union_of([wide, other])
    assert isinstance(union, HasPieces)
    assert len({piece.weights for piece in union.pieces}) == 2 * len(
        {p.weights for p in wide.pieces}
    )
    with pytest.raises(ContractError, match=r"would be those of net-wide and of net\. Give one"):
        union_of([wide, Renamed(ELASTIC, "net", "wide-")])


class NeverNone(Perceptrons):
    """Does not know what no networks are."""

    def sample(self, n: int, rng: np.random.Generator) -> IntArray:
        assert n, "nobody asks for nothing"
        return super().sample(n, rng)


def test_members_are_not_asked_for_no_networks() -> None:
    union, rng = union_of([NeverNone(), Others()]), np.random.default_rng(0)
    for _ in range(20):
        X = union.sample(1, rng)
        np.testing.assert_array_equal(union.repair(X), X)
        mutate(union, X, rng)
