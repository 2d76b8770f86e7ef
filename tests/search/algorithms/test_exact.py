"""Exact fronts three ways: enumeration, dynamic program and integer program."""

from collections.abc import Callable
from dataclasses import dataclass

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailorbird import spaces
from tailorbird.errors import InfeasibleError
from tailorbird.predictors import Prediction
from tailorbird.search import (
    Constraint,
    Objective,
    ParetoFront,
    Problem,
    best,
    enumerated_front,
    exact_front,
    has_exact_front,
    pareto_paths,
)
from tailorbird.search.algorithms.exact import dynamic_program
from tailorbird.search.algorithms.exact.path_problem import PathProblem
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.layered import LayeredGraph
from tailorbird.spaces.path_sum import PathSum, PathValues, along_workloads

SPACES = {
    "cifar-resnet": spaces.get("cifar-resnet"),
    "cifar-resnet, 2 stitches": spaces.get("cifar-resnet", max_stitches=2),
    "deit-ti-s-b": spaces.get("deit-ti-s-b"),
    "deit-ti-s-b, 3 stitches": spaces.get("deit-ti-s-b", max_stitches=3),
    "deit-ti-s-b, both ways": spaces.get("deit-ti-s-b", stitches="two-way", max_stitches=3),
    "deit3-s-l": spaces.get("deit3-s-l"),
    "digits-resnet": spaces.get("digits-resnet"),
    "efficientnet-lite-0-1-2": spaces.get("efficientnet-lite-0-1-2"),
    "macro-mobilenetv2": spaces.get("macro-mobilenetv2"),
    "resnet-18-50": spaces.get("resnet-18-50"),
    "swin-ti-s-b": spaces.get("swin-ti-s-b"),
}
OFA = spaces.get("ofa-mobilenetv3")


def graph_of(space: SearchSpace) -> LayeredGraph:
    graph = getattr(space, "graph", None)
    assert isinstance(graph, LayeredGraph)
    return graph


@dataclass(frozen=True, eq=False)
class Along:
    """Any values of steps, and any response."""

    space: SearchSpace
    values: PathValues

    def along(self, graph: LayeredGraph) -> PathValues:
        assert graph is graph_of(self.space)
        return self.values

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.full(len(X), 0.1))

    def mean(self, X: IntArray) -> FloatArray:
        return self.values.response(PathSum(graph_of(self.space), self.values)(X))


@dataclass(frozen=True, eq=False)
class Hidden:
    """The same values; that they add up is not told."""

    of: Along

    def predict(self, X: IntArray) -> Prediction:
        return self.of.predict(X)

    def mean(self, X: IntArray) -> FloatArray:
        return self.of.mean(X)


def drawn(space: SearchSpace, kind: str, rng: np.random.Generator) -> Along:
    """Steps are worth what their workloads are, or something each; sums mean something else."""
    graph = graph_of(space)
    if kind == "workloads":  # so that many paths have equal sums
        worth = rng.uniform(0.1, 1, len(space.workloads))
        return Along(space, along_workloads(graph, worth, lambda sums: sums + 3.0))
    if kind == "whole numbers":
        worth = rng.integers(1, 4, len(space.workloads)).astype(np.float64)
        return Along(space, along_workloads(graph, worth))
    edges = tuple(rng.normal(0, 1, len(layer.source)) for layer in graph.layers)
    final = rng.normal(0, 1, graph.final.shape[0])
    return Along(space, PathValues(edges, final, lambda sums: -np.expm1(-sums / 10)))


KINDS = ("workloads", "whole numbers", "edges")


def objectives(
    space: SearchSpace, m: int, rng: np.random.Generator, kinds: tuple[str, ...] = KINDS
) -> tuple[Objective, ...]:
    return tuple(
        Objective(f"f{i}", "", "max" if rng.random() < 0.5 else "min", drawn(space, kind, rng))
        for i, kind in enumerate(rng.choice(kinds, size=m))
    )


def limits(
    some: tuple[Objective, ...], X: IntArray, share: float, rng: np.random.Generator
) -> tuple[Constraint, ...]:
    """At values that are attained: so many of the rows meet each."""
    found = []
    for one in some:
        values = np.sort(one.sign * one.predictor.mean(X))
        near = int(rng.uniform(share, 1) * (len(values) - 1))
        found.append(Constraint(one, one.sign * float(values[near])))
    return tuple(found)


def everything(space: SearchSpace) -> IntArray:
    return np.vstack(list(space.enumerate()))


def asked(space: SearchSpace, seed: int, m: int, n_limits: int) -> Problem:
    """Limits are on objectives and on other properties."""
    rng = np.random.default_rng(seed)
    some = objectives(space, m + 1, rng)
    limited = tuple(some[i] for i in rng.permutation(m + 1)[:n_limits])
    constraints = limits(limited, everything(space), 0.3, rng) if n_limits else ()
    return Problem(space, some[:m], constraints)


def same_or_infeasible(
    problem: Problem, one: Callable[[Problem], ParetoFront], other: Callable[[Problem], ParetoFront]
) -> None:
    try:
        expected = other(problem)
    except InfeasibleError:
        with pytest.raises(InfeasibleError):
            one(problem)
        return
    found = one(problem)
    np.testing.assert_array_equal(found.F, expected.F)  # to the last digit
    np.testing.assert_array_equal(problem.minimised(found.X), found.F)
    assert (problem.violation(found.X, found.F) <= 0).all()
    assert found.exact
    assert expected.exact
    assert found.gap == expected.gap == ()
    assert found.n_evaluations == problem.space.size


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), m=st.integers(1, 3), n_limits=st.integers(0, 2))
def test_the_dynamic_program_gives_the_front_of_the_enumeration(
    space: SearchSpace, seed: int, m: int, n_limits: int
) -> None:
    same_or_infeasible(asked(space, seed, m, n_limits), pareto_paths, enumerated_front)


def test_enumeration_is_in_the_order_of_the_edges_whatever_the_chunk() -> None:
    graph = graph_of(SPACES["deit-ti-s-b, 3 stitches"])

    def from_here(k: int, state: int) -> list[list[int]]:
        if k == len(graph.layers):
            return [[]]
        layer = graph.layers[k]
        return [
            [int(layer.choice[edge]), *rest]
            for edge in np.flatnonzero(layer.source == state)
            for rest in from_here(k + 1, int(layer.target[edge]))
        ]

    expected = np.array(from_here(0, 0))
    for chunk in (1, 7, 100, 65_536):
        chunks = list(graph.enumerate(chunk))
        np.testing.assert_array_equal(np.vstack(chunks), expected)
        assert {len(X) for X in chunks[:-1]} <= {chunk}


def test_nothing_drawn_from_a_space_that_no_one_can_enumerate_beats_its_front() -> None:
    rng = np.random.default_rng(0)
    some = objectives(OFA, 2, rng, ("edges",))
    front = exact_front(Problem(OFA, some))
    assert front.exact
    assert front.n_evaluations == 7371**5
    F = front_and = Problem(OFA, some).minimised(OFA.sample(20_000, rng))
    front_and = np.vstack([front.F, F])
    assert (moocore.is_nondominated(front_and) == (np.arange(len(front_and)) < len(front))).all()
    for i in range(2):
        end = best(Problem(OFA, some[i : i + 1]))
        assert end.F[0, 0] == pytest.approx(front.F[:, i].min(), abs=1e-9)


def test_the_same_problem_gives_the_same_networks() -> None:
    problem = asked(SPACES["macro-mobilenetv2"], 5, 3, 1)
    first, again = pareto_paths(problem), pareto_paths(problem)
    np.testing.assert_array_equal(first.X, again.X)


@pytest.mark.parametrize("limited", ["nothing", "objective", "other"])
@pytest.mark.parametrize(
    ("name", "most"),
    [("macro-mobilenetv2", 50), ("macro-mobilenetv2", 150), ("digits-resnet", 300)],
)
def test_of_too_many_labels_some_stand_for_all_within_the_gap(
    name: str, limited: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And limits hold as ever."""
    space, n_thinned = SPACES[name], 0
    monkeypatch.setattr(dynamic_program, "MOST_LABELS", most)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        some = objectives(space, 4, rng, ("workloads", "edges"))
        X = everything(space)
        constraints = {
            "nothing": (),
            "objective": limits(some[:1], X, 0.5, rng),
            "other": limits(some[3:], X, 0.5, rng),
        }
        problem = Problem(space, some[:3], constraints[limited])
        front = pareto_paths(problem)
        F = problem.minimised(X)
        F = F[(problem.violation(X, F) <= 0).all(axis=1)]
        assert (problem.violation(front.X, front.F) <= 0).all()
        if front.exact:
            assert front.gap == ()
            expected = enumerated_front(problem).F
            np.testing.assert_array_equal(front.F, expected)
            continue
        n_thinned += 1
        assert len(front.gap) == 3
        worse_by = (front.F[:, None] - F[None] - front.gap).max(axis=2).min(axis=0)
        assert worse_by.max() <= 1e-12
        assert (np.array(front.gap) < np.ptp(F, axis=0)).any()  # it says something
    assert n_thinned >= 3


def test_limits_are_never_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    space = SPACES["macro-mobilenetv2"]
    rng = np.random.default_rng(0)
    some = objectives(space, 3, rng, ("edges",))
    problem = Problem(space, some, limits(some, everything(space), 0.9, rng))
    assert len(pareto_paths(problem)) > 10
    monkeypatch.setattr(dynamic_program, "MOST_LABELS", 20)
    with pytest.raises(ValueError, match="A layer may have 20 labels, but there are more that"):
        pareto_paths(problem)


@settings(max_examples=25)
@given(
    name=st.sampled_from(["macro-mobilenetv2", "digits-resnet", "deit-ti-s-b, 3 stitches"]),
    seed=st.integers(0, 2**32 - 1),
    n_limits=st.integers(0, 3),
)
def test_the_integer_program_finds_the_best_of_the_front(
    name: str, seed: int, n_limits: int
) -> None:
    rng = np.random.default_rng(seed)
    space = SPACES[name]
    some = objectives(space, 4, rng)
    problem = Problem(space, some, limits(some[1:], everything(space), 0.3, rng)[:n_limits])
    try:
        front = pareto_paths(problem)
    except InfeasibleError:
        with pytest.raises(InfeasibleError):
            best(problem)
        return
    found = best(problem)
    assert found.exact
    assert found.objectives == some[:1]
    assert len(found) == 1
    assert found.F[0, 0] == pytest.approx(front.F[:, 0].min(), abs=1e-8)
    F = problem.minimised(found.X)
    assert (problem.violation(found.X, F) <= 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_limit_that_is_missed_by_a_rounding_error_is_missed(seed: int) -> None:
    """HiGHS would take it for met, and what misses it must not hide what meets it."""
    space = SPACES["macro-mobilenetv2"]
    worth, cost = objectives(space, 2, np.random.default_rng(seed), ("edges",))
    F = Problem(space, (worth, cost)).minimised(everything(space))
    front = pareto_paths(Problem(space, (worth, cost)))
    for at_limit in front.F[[1, len(front) // 2, -2], 1]:
        for limit in (at_limit, np.nextafter(at_limit, -np.inf)):
            problem = Problem(space, (worth,), (Constraint(cost, cost.sign * float(limit)),))
            expected = F[F[:, 1] <= limit, 0].min()
            assert best(problem).F[0, 0] == expected
            assert pareto_paths(problem).F[0, 0] == expected


def limited(space: SearchSpace, some: tuple[Objective, ...], *values: float) -> Problem:
    """Limits on all but the first objective."""
    pairs = zip(some[1:], values, strict=True)
    return Problem(space, some[:1], tuple(Constraint(one, value) for one, value in pairs))


@pytest.mark.parametrize("method", [best, pareto_paths, exact_front])
def test_what_could_be_attained_is_told(method: Callable[[Problem], ParetoFront]) -> None:
    space = SPACES["macro-mobilenetv2"]
    rng = np.random.default_rng(1)
    accuracy, latency, macs = (
        Objective(*facts, drawn(space, "edges", rng))
        for facts in (("accuracy", "", "max"), ("latency", "ms", "min"), ("macs", "M", "min"))
    )
    X = everything(space)
    least, most = latency.predictor.mean(X).min(), accuracy.predictor.mean(X).max()
    with pytest.raises(
        InfeasibleError,
        match=rf"^latency_ms <= -9 must hold, but of all of macro-mobilenetv2\(n_classes=10\) the "
        rf"smallest attainable latency_ms is {least:.6g}. Relax that limit.$",
    ):
        method(limited(space, (accuracy, macs, latency), 100.0, -9.0))
    with pytest.raises(InfeasibleError, match=f"largest attainable accuracy is {most:.6g}. Relax"):
        method(limited(space, (latency, accuracy), 0.9999))
    nearly = float(macs.predictor.mean(X).min() + 1e-9)
    rest = macs.predictor.mean(X) <= nearly
    unmet = float(latency.predictor.mean(X[~rest]).min())
    assert unmet < latency.predictor.mean(X[rest]).min()
    with pytest.raises(
        InfeasibleError,
        match=r"^macs_M <= .* and latency_ms <= .* must hold, but no architecture of .* meets all "
        r"of that. Of each alone: the smallest attainable macs_M is .*, the smallest",
    ):
        method(limited(space, (accuracy, macs, latency), nearly, unmet))


def test_without_time_nothing_is_claimed() -> None:
    rng = np.random.default_rng(0)
    some = objectives(OFA, 4, rng, ("edges",))
    problem = Problem(OFA, some, limits(some[1:], OFA.sample(1000, rng), 0.3, rng))
    with pytest.raises(TimeoutError, match="within the limits was found in 0 s, nor was it proved"):
        best(problem, seconds=0.0)
    optimum = best(problem)
    assert optimum.exact
    for seconds in (0.02, 0.05, 0.1, 0.2):  # how far it comes depends on the machine
        try:
            found = best(problem, seconds=seconds)
        except TimeoutError:
            continue
        assert found.F[0, 0] >= optimum.F[0, 0] - 1e-8
        assert found.exact or found.F[0, 0] - found.gap[0] <= optimum.F[0, 0] + 1e-8


def test_where_an_exact_front_can_be_had() -> None:
    rng = np.random.default_rng(0)
    some = objectives(OFA, 5, rng)
    hidden = Objective("hidden", "", "min", Hidden(drawn(OFA, "edges", rng)))
    assert has_exact_front(Problem(OFA, some[:2]))
    assert not has_exact_front(Problem(OFA, some))  # it would take minutes
    assert not has_exact_front(Problem(OFA, (some[0], hidden)))
    assert not has_exact_front(Problem(OFA, some[:1], (Constraint(hidden, 1.0),)))
    small = SPACES["deit3-s-l"]
    secret = Objective("hidden", "", "min", Hidden(drawn(small, "edges", rng)))
    assert has_exact_front(Problem(small, (secret,)))
    assert (
        exact_front(Problem(small, (secret,))).F[0, 0]
        == secret.predictor.mean(everything(small)).min()
    )


@pytest.mark.parametrize("method", [exact_front, enumerated_front, pareto_paths, best])
def test_what_cannot_be_had_is_refused(method: Callable[[Problem], ParetoFront]) -> None:
    hidden = Hidden(drawn(OFA, "edges", np.random.default_rng(0)))
    with pytest.raises(ValueError, match=r"Use `nsga2`|or use `nsga2`"):
        method(Problem(OFA, (Objective("hidden", "", "min", hidden),)))


def test_a_limit_goes_through_the_response() -> None:
    """Sums are limited, values are what is asked for."""
    space = SPACES["macro-mobilenetv2"]
    rng = np.random.default_rng(0)
    one = Objective("accuracy", "", "max", drawn(space, "edges", rng))
    values = one.predictor.mean(everything(space))

    def limit_on_the_sum(limit: float) -> FloatArray:
        found = PathProblem.of(Problem(space, (one,), (Constraint(one, limit),)))
        assert found is not None
        return found.values(found.limits[None])

    for share in (0.01, 0.5, 0.99):
        limit = float(np.quantile(values, share))
        assert -limit_on_the_sum(limit)[0, 0] == pytest.approx(limit, rel=1e-9)
    assert limit_on_the_sum(values.min() - 1e-6)[0, 0] == np.inf  # any will do
    assert limit_on_the_sum(values.max() + 1e-6)[0, 0] == -1.0  # of no sum at all
