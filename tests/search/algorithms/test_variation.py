from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from tailorbird import spaces
from tailorbird.predictors import Prediction
from tailorbird.search import Constraint, Objective, Problem
from tailorbird.search.algorithms.variation import CROSSED, Variation, crossover, linkage, mutate
from tailorbird.search.violation import Limits
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.spaces.stitching.moves import StitchMoves

SPACES: dict[str, Callable[[], SearchSpace]] = {
    "chain": lambda: spaces.get("ofa-mobilenetv3"),
    "stages": lambda: spaces.get("fbnet"),
    "short": lambda: spaces.get("macro-mobilenetv2"),
    "cells": lambda: spaces.get("nasbench201"),
    "stitches": lambda: spaces.get("digits-resnet"),
    "two-way": lambda: spaces.get("deit-ti-s-b", stitches="two-way", pairs="all", max_stitches=3),
    "anchors": lambda: spaces.get("deit-ti-s-b", max_stitches=0),
    "union": lambda: spaces.union_of([spaces.get("digits-resnet"), spaces.get("digits-elastic")]),
}


@pytest.fixture(params=SPACES, scope="module")
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return SPACES[request.param]()


@dataclass(frozen=True)
class Sum:
    """Of the choices' numbers."""

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.zeros(len(X)))

    def mean(self, X: IntArray) -> FloatArray:
        return np.asarray(X.sum(axis=1), dtype=np.float64)


def test_mutants_are_other_canonical_rows(space: SearchSpace) -> None:
    X = space.sample(500, np.random.default_rng(0))
    mutants = mutate(space, X, np.random.default_rng(1))
    np.testing.assert_array_equal(space.repair(mutants), mutants)
    n_choices = [len(variable.choices) for variable in space.variables]
    assert ((mutants >= 0) & (mutants < n_choices)).all()
    # A gene without effect may be drawn four times in a row.
    assert (mutants != X).any(axis=1).mean() > 0.99
    again = mutate(space, X, np.random.default_rng(1))
    np.testing.assert_array_equal(again, mutants)


def test_children_are_canonical_and_leave_their_parents_alone(space: SearchSpace) -> None:
    A, B = space.sample(1000, np.random.default_rng(0)).reshape(2, 500, -1)
    A_before, B_before = A.copy(), B.copy()
    children = Variation(Problem(space, ()))(A, B, np.random.default_rng(1))
    assert children.shape == (1000, len(space.variables))
    np.testing.assert_array_equal(space.repair(children), children)
    np.testing.assert_array_equal(A, A_before)
    np.testing.assert_array_equal(B, B_before)


def test_mutation_reaches_every_choice_of_every_gene() -> None:
    space = SPACES["chain"]()
    X = space.repair(np.full((3000, len(space.variables)), 1))
    mutants = mutate(space, X, np.random.default_rng(0))
    # With three blocks in each stage, all genes but those of the fourth have an effect.
    live = [i for i, v in enumerate(space.variables) if int(v.name[-2:].strip("dkse")) % 4 < 3]
    live += [i for i, v in enumerate(space.variables) if v.name.startswith("d")]
    for gene in set(live):
        assert set(mutants[:, gene]) == {0, 1, 2}


def test_genes_of_a_stage_belong_together() -> None:
    of_ofa = linkage(SPACES["chain"]())
    np.testing.assert_array_equal(of_ofa, np.repeat(np.arange(5), 9))
    # Identities move within layers of equal options, of which there are two pairs.
    np.testing.assert_array_equal(linkage(SPACES["short"]()), [0, 1, 2, 3, 3, 4, 5, 5])
    for alone in ("cells", "stitches"):
        space = SPACES[alone]()
        np.testing.assert_array_equal(linkage(space), np.arange(len(space.variables)))


@given(st.sampled_from(["chain", "stages", "short"]), st.integers(0, 999))
def test_whole_stages_can_be_exchanged_without_repair(name: str, seed: int) -> None:
    space = LAYERED[name]
    rng = np.random.default_rng(seed)
    A, B = space.sample(16, rng).reshape(2, 8, -1)
    for child in crossover(A, B, linkage(space), rng):
        np.testing.assert_array_equal(space.repair(child), child)


LAYERED = {name: SPACES[name]() for name in ("chain", "stages", "short")}


def test_each_stage_goes_to_one_child_and_half_of_the_pairs_do_not_cross() -> None:
    stages = np.array([0, 0, 1, 2, 2])
    A, B = np.zeros((2000, 5), dtype=np.int64), np.ones((2000, 5), dtype=np.int64)
    first, second = crossover(A, B, stages, np.random.default_rng(0))
    np.testing.assert_array_equal(first + second, 1)
    np.testing.assert_array_equal(first[:, [0, 3]], first[:, [1, 4]])
    # One in eight of those that cross takes all stages from one parent.
    assert first.any(axis=1).mean() == pytest.approx(CROSSED * 7 / 8, abs=0.04)
    for stage in (0, 2, 3):
        assert first[:, stage].mean() == pytest.approx(CROSSED / 2, abs=0.04)


def near(space: StitchSpace, row: list[int]) -> set[tuple[int, ...]]:
    """All that a move, an addition or a removal can lead to."""
    start, used = row[0], [choice for choice in row[1:] if choice]
    source = {c: s.source for c, s in enumerate(space.stitches, start=1)}
    target = {c: s.target for c, s in enumerate(space.stitches, start=1)}
    found = []
    for place, old in enumerate(used):
        before, behind = used[:place], used[place + 1 :]
        found += [
            [start, *before, new, *behind]
            for new in source
            if (source[new], target[new]) == (source[old], target[old])
        ]
        found.append([start, *before, *behind])
        if place == 0:
            found.append([target[old], *behind])
    if len(used) < space.max_stitches:
        for new in source:
            found += [[start, *used[:k], new, *used[k:]] for k in range(len(used) + 1)]
            if target[new] == start:
                found.append([source[new], new, *used])
    filled = [each + [0] * (len(row) - len(each)) for each in found]
    return {tuple(each) for each in space.repair(np.array(filled)).tolist()}


def test_a_step_moves_adds_or_removes_one_stitch(
    tiny_space: StitchSpace, deit_like_space: StitchSpace
) -> None:
    two_way = SPACES["two-way"]()
    assert isinstance(two_way, StitchSpace)
    for space in (tiny_space, deit_like_space, two_way):
        X = space.sample(60, np.random.default_rng(0))
        stepped = space.repair(
            StitchMoves(space.graph, space.stitches)(X, np.random.default_rng(1))
        )
        for row, other in zip(X.tolist(), stepped.tolist(), strict=True):
            assert tuple(other) in near(space, row)


def test_steps_lead_from_each_route_to_every_other(
    tiny_space: StitchSpace, deit_like_space: StitchSpace
) -> None:
    for space in (tiny_space, deit_like_space):
        (X,) = space.enumerate()
        names = {tuple(row): i for i, row in enumerate(X.tolist())}
        leads = np.eye(len(X), dtype=bool)
        for seed in range(300):
            mutants = mutate(space, X, np.random.default_rng(seed))
            leads[np.arange(len(X)), [names[tuple(row)] for row in mutants.tolist()]] = True
        assert connected_components(leads, connection="strong")[0] == 1


def test_what_is_beyond_a_limit_comes_back_and_the_rest_stays() -> None:
    space = SPACES["chain"]()
    size = Objective("size", "", "min", Sum())
    rng = np.random.default_rng(0)
    X = space.sample(400, rng)
    limit = float(np.quantile(Sum().mean(X), 0.3))
    limits = Limits(Problem(space, (), (Constraint(size, limit),)))
    within = limits.excess(X) == 0.0
    np.testing.assert_array_equal(within, Sum().mean(X) <= limit)
    towards = np.repeat(X[within][:1], len(X), axis=0)
    pulled = limits.pulled_back(X, towards, rng)
    np.testing.assert_array_equal(pulled[within], X[within])
    np.testing.assert_array_equal(space.repair(pulled), pulled)
    assert (limits.excess(pulled) == 0.0).mean() > 0.8
    # Without limits nothing is pulled.
    free = Limits(Problem(space, ()))
    np.testing.assert_array_equal(free.pulled_back(X, towards, rng), X)
