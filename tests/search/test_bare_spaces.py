"""Searches of spaces that leave their workloads open."""

import numpy as np
import pytest
from own_code import BarePerceptrons, Free

from tailorbird.errors import EvaluationError
from tailorbird.predictors import InferredSum, accuracy_predictor
from tailorbird.predictors.choices import ChoiceSum
from tailorbird.predictors.counted_costs import mega_params
from tailorbird.progress import NoProgress
from tailorbird.search import (
    Objective,
    ParetoFront,
    Problem,
    best,
    exact_front,
    has_exact_front,
    pareto_paths,
)
from tailorbird.search.algorithms.guided.guided import guided
from tailorbird.search.algorithms.guided.history import Unknown
from tailorbird.search.algorithms.initial_design import spread_over
from tailorbird.search.algorithms.random_search import random_search
from tailorbird.search.front_probability import with_probability
from tailorbird.spaces import SearchSpace

BINARY = Free((("off", "on"),) * 200)


def effects(space: SearchSpace, seed: int) -> ChoiceSum:
    sizes = [len(variable.choices) for variable in space.variables]
    return ChoiceSum(space, np.random.default_rng(seed).uniform(0.1, 0.9, sum(sizes)) / len(sizes))


def latency(space: SearchSpace, n: int = 30) -> InferredSum:
    X = spread_over(effects(space, 1), space, n, np.random.default_rng(0))
    return InferredSum(space).fit(X, effects(space, 1).mean(X))


def searched(space: SearchSpace, n: int, seed: int) -> tuple[ParetoFront, Problem]:
    """Front of a guided search, and the problem with all objectives known."""
    learner, truth = accuracy_predictor("process-totals", space), effects(space, 2)
    accuracy = Objective("accuracy", "", "max", learner)
    ms = Objective("latency", "ms", "min", latency(space))
    front, _ = guided(
        Problem(space, (accuracy, ms)),
        [Unknown(accuracy, truth.mean)],
        start=spread_over(ms.predictor, space, 10, np.random.default_rng(seed)),
        n_evaluations=n,
        batch=5,
        seed=seed,
        progress=NoProgress(),
    )
    return front, Problem(space, (Objective("accuracy", "", "max", truth), ms))


@pytest.mark.parametrize(
    "space",
    [
        pytest.param(Free(), id="free"),
        pytest.param(BarePerceptrons(), id="with repair"),
        pytest.param(BINARY, id="binary", marks=pytest.mark.long),
    ],
)
def test_guided_search_finds_more_than_random_search(space: SearchSpace) -> None:
    n = min(30, space.size - 20)
    ours, theirs = [], []
    for seed in range(2):
        front, problem = searched(space, n, seed)
        ref_point = problem.reference_point(0)
        assert front.n_evaluations == n
        ours.append(front.hypervolume(ref_point))
        random = random_search(problem, n_evaluations=n, seed=seed)
        theirs.append(random.hypervolume(ref_point))
    assert np.mean(ours) >= np.mean(theirs)
    likely = with_probability(front, problem, n_draws=20, rng=np.random.default_rng(0))
    assert likely.probability is not None
    assert len(front.to_pandas()) == len(front)


def test_a_space_of_few_networks_is_evaluated_whole() -> None:
    space = Free((tuple("1234567"), ("always",)))
    learner, truth = accuracy_predictor("process", space), effects(space, 2)
    accuracy = Objective("accuracy", "", "max", learner)
    problem = Problem(space, (accuracy, Objective("size", "", "min", effects(space, 1))))
    unknown = [Unknown(accuracy, truth.mean)]
    front, evaluated = guided(
        problem, unknown, start=space.landmarks, n_evaluations=60, batch=5, seed=0,
        progress=NoProgress(),
    )  # fmt: skip
    assert len(evaluated.X) == space.size == 7
    exact = exact_front(Problem(space, (Objective("accuracy", "", "max", truth),)))
    assert front.F[:, 0].min() == pytest.approx(exact.F[0, 0])
    few = Free((tuple("123"), ("always",)))
    with pytest.raises(EvaluationError, match="At least 5 networks"):
        guided(
            Problem(few, problem.objectives), unknown, start=few.landmarks, n_evaluations=60,
            batch=5, seed=0, progress=NoProgress(),
        )  # fmt: skip


def test_what_does_not_add_up_is_refused_with_the_way_out() -> None:
    space = BarePerceptrons()
    problem = Problem(space, (Objective("worth", "", "max", effects(space, 0)),))
    for search in (best, pareto_paths):
        with pytest.raises(ValueError, match=r"bare-perceptrons is not layered\. Narrow it"):
            search(problem)
    built = Problem(BINARY, (Objective("mega_params", "", "min", mega_params(BINARY)),))
    with pytest.raises(ValueError, match="not all that is asked of free does"):
        exact_front(built)


def test_exact_fronts_beside_searches_build_few_networks() -> None:
    """What is counted on networks takes milliseconds for each."""
    for n, may_be in ((12, True), (13, False)):
        space = Free((("off", "on"),) * n)
        problem = Problem(space, (Objective("mega_params", "", "min", mega_params(space)),))
        assert has_exact_front(problem) == may_be
        known = Problem(space, (Objective("worth", "", "max", effects(space, 0)),))
        assert has_exact_front(known)
