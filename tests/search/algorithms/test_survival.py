import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from strategies import objectives

from tailorbird.search.algorithms.survival import (
    crowding_distances,
    distinct,
    survivors,
    tournament,
)
from tailorbird.spaces import FloatArray


@st.composite
def evaluated(draw: st.DrawFn, n: int = 12) -> tuple[FloatArray, FloatArray]:
    """Objectives (n, m) and excess (n,)."""
    F = draw(objectives(n))
    few = st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0])
    return F, draw(arrays(np.float64, len(F), elements=few))


def dominates(f: FloatArray, g: FloatArray) -> bool:
    return bool((f <= g).all() and (f < g).any())


def slow_fronts(F: FloatArray) -> list[list[int]]:
    """Peels one front after the other; every pair is compared."""
    left, fronts = list(range(len(F))), []
    while left:
        front = [i for i in left if not any(dominates(F[j], F[i]) for j in left)]
        fronts.append(front)
        left = [i for i in left if i not in front]
    return fronts


def slow_crowding(F: FloatArray, front: list[int]) -> dict[int, float]:
    """Neighbour by neighbour; what is not the only one of its value may lie at either side."""
    if len(front) <= 2:
        return dict.fromkeys(front, np.inf)
    found = dict.fromkeys(front, 0.0)
    for column in F.T:
        order = sorted(front, key=lambda i: (column[i], i))
        spread = column[order[-1]] - column[order[0]]
        if spread == 0:
            continue
        for k, i in enumerate(order):
            ends = k in (0, len(order) - 1)
            gap = np.inf if ends else column[order[k + 1]] - column[order[k - 1]]
            found[i] += gap / spread / F.shape[1]
    return found


@given(evaluated())
def test_crowding_is_that_of_each_front(drawn: tuple[FloatArray, FloatArray]) -> None:
    F, _ = drawn
    rank = np.empty(len(F), dtype=np.int64)
    expected = np.empty(len(F))
    for k, front in enumerate(slow_fronts(F)):
        rank[front] = k
        expected[front] = [slow_crowding(F, front)[i] for i in front]
    np.testing.assert_allclose(crowding_distances(F, rank), expected)


@given(objectives().filter(lambda F: len(F) > 2))
def test_crowding_in_one_front_is_that_of_pymoo(F: FloatArray) -> None:
    with np.errstate(invalid="ignore"):
        expected = calc_crowding_distance(F)
    np.testing.assert_allclose(crowding_distances(F, np.zeros(len(F), dtype=int)), expected)


@given(evaluated(), st.integers(1, 12), st.integers(0, 99))
def test_survivors_are_those_of_the_first_fronts_then_the_nearest_to_the_limits(
    drawn: tuple[FloatArray, FloatArray], n: int, seed: int
) -> None:
    F, excess = drawn
    kept, rank, _ = survivors(F, excess, n, np.random.default_rng(seed))
    assert len(kept) == len(set(kept.tolist())) == min(n, len(F))
    feasible = np.flatnonzero(excess == 0.0)
    left = n
    for k, positions in enumerate(slow_fronts(F[feasible])):
        front = feasible[positions].tolist()
        staying = [i for i in front if i in kept]
        assert len(staying) == min(left, len(front))
        left -= len(staying)
        assert (rank[np.isin(kept, front)] == k).all()
    outside = np.flatnonzero(excess > 0.0)
    staying = [i for i in outside if i in kept]
    leaving = [i for i in outside if i not in kept]
    assert len(staying) == min(left, len(outside))
    if staying and leaving:
        assert max(excess[staying]) <= min(excess[leaving])
    assert (np.diff(excess[kept]) >= 0).all()  # best first


@pytest.mark.parametrize("n_limits", [0, 2])
@pytest.mark.parametrize("seed", range(5))
def test_survivors_are_those_of_pymoo(seed: int, n_limits: int) -> None:
    rng = np.random.default_rng(seed)
    F, G = rng.normal(size=(60, 2)), rng.normal(size=(60, n_limits)) - 0.5
    F[:, 1] -= 2 * F[:, 0]
    pop = Population.new(X=np.arange(60)[:, None], F=F, G=G)
    problem = Problem(n_var=1, n_obj=2, n_ieq_constr=n_limits)
    theirs = RankAndCrowding().do(problem, pop, n_survive=25, random_state=rng)
    excess = np.maximum(G, 0.0).sum(axis=1)
    kept, rank, crowding = survivors(F, excess, 25, rng)
    assert sorted(kept) == sorted(theirs.get("X")[:, 0])
    place = {x: i for i, x in enumerate(kept)}
    for one in theirs:
        if excess[one.X[0]] == 0.0:
            assert rank[place[one.X[0]]] == one.get("rank")
            assert crowding[place[one.X[0]]] == pytest.approx(one.get("crowding"))


@given(evaluated(n=2), arrays(np.float64, 2, elements=st.sampled_from([0.0, 1.0, np.inf])))
def test_a_duel_is_won_by_excess_then_dominance_then_crowding(
    drawn: tuple[FloatArray, FloatArray], crowding: FloatArray
) -> None:
    F, excess = (np.resize(values, (2, *values.shape[1:])) for values in drawn)
    won = set(tournament(F, excess, crowding, 40, np.random.default_rng(0)).tolist())
    if excess[0] != excess[1]:
        assert won == {int(excess.argmin())}
    elif dominates(F[0], F[1]) or dominates(F[1], F[0]):
        assert won == {0 if dominates(F[0], F[1]) else 1}
    elif crowding[0] != crowding[1]:
        assert won == {int(crowding.argmax())}
    else:
        assert won == {0, 1}


@given(st.integers(1, 15), st.integers(1, 3), st.integers(0, 99))
def test_all_fight_equally_often(half: int, turns: int, seed: int) -> None:
    F = np.arange(2.0 * half)[:, None]
    even = np.zeros(2 * half)
    won = tournament(F, even, even, turns * half, np.random.default_rng(seed)).tolist()
    assert len(won) == turns * half
    assert won.count(0) == turns  # the best wins whomever it meets
    assert won.count(2 * half - 1) == 0


@given(
    arrays(np.int64, st.tuples(st.integers(0, 8), st.just(3)), elements=st.integers(0, 1)),
    arrays(np.int64, st.tuples(st.integers(0, 8), st.just(3)), elements=st.integers(0, 1)),
)
def test_distinct_rows_are_new_and_come_once(X: np.ndarray, known: np.ndarray) -> None:
    seen, expected = {tuple(row) for row in known.tolist()}, []
    for i, row in enumerate(map(tuple, X.tolist())):
        if row not in seen:
            expected.append(i)
            seen.add(row)
    assert distinct(X, known).tolist() == expected


def test_choices_beyond_a_byte_are_told_apart() -> None:
    X = np.array([[1], [257], [65_535]])
    assert distinct(X, X[:0]).tolist() == [0, 1, 2]
