"""Every algorithm that a recipe may name, on a problem whose exact front is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tailorbird import spaces
from tailorbird.errors import InfeasibleError, RecipeError
from tailorbird.pipeline.own_code.algorithm import algorithm_of, settings_of
from tailorbird.pipeline.problem import problem_of
from tailorbird.predictors.counted_costs import PeakMemory, WorkloadSum
from tailorbird.recipe import SearchSection
from tailorbird.search import ParetoFront, Problem, enumerated_front
from tailorbird.spaces import FloatArray

SPACE = spaces.get("digits-resnet", batch=1)
WORTH, MS = (
    WorkloadSum(SPACE, np.random.default_rng(seed).uniform(0.1, 1.0, len(SPACE.workloads)))
    for seed in (0, 1)
)


def asked(algorithm: str, **more: object) -> tuple[Problem, SearchSection]:
    section = SearchSection.model_validate({"algorithm": algorithm, **more})
    return problem_of(section, SPACE, WORTH, MS, {}), section


def searched(
    problem: Problem, section: SearchSection, seed: int, ref_point: FloatArray
) -> ParetoFront:
    settings = replace(settings_of(section, seed), ref_point=ref_point)
    return algorithm_of(section, Path())(problem, settings)


@pytest.mark.parametrize(
    ("algorithm", "more", "least"),
    [
        ("nsga2", {"population": 40, "generations": 40}, 0.97),
        ("evolution", {"population": 40, "generations": 15}, 0.9),
        ("random", {"population": 40, "generations": 40}, 0.8),
        ("optuna", {"population": 10, "generations": 20, "sampler": "NSGAIISampler"}, 0.7),
        ("exact", {}, 1.0),
    ],
)
def test_an_algorithm_finds_its_share(
    algorithm: str, more: dict[str, object], least: float
) -> None:
    problem, section = asked(algorithm, **more)
    ref_point = problem.reference_point(0)
    whole = enumerated_front(problem).hypervolume(ref_point)
    front = searched(problem, section, 0, ref_point)
    assert least - 1e-9 <= front.hypervolume(ref_point) / whole <= 1 + 1e-9
    assert front.exact == (algorithm == "exact")


def test_the_best_is_the_end_of_the_front_within_the_limits() -> None:
    limit = float(np.quantile(MS.mean(SPACE.sample(500, np.random.default_rng(0))), 0.2))
    problem, section = asked("best", max_latency_ms=limit, max_mega_params=0.05)
    assert {c.objective.column for c in problem.constraints} == {"latency_ms", "mega_params"}
    found = searched(problem, section, 0, problem.reference_point(0))
    assert len(found) == 1
    assert found.exact
    assert found.values[0, 0] == pytest.approx(enumerated_front(problem).values[:, 0].max())


def test_objectives_and_limits_are_what_a_recipe_says() -> None:
    names = ("accuracy", "latency_ms", "mega_macs", "mega_params", "weight_mib", "peak_mib")
    problem, _ = asked("nsga2", objectives=names, max_peak_mib=1.0, min_accuracy=0.5)
    assert tuple(o.column for o in problem.objectives) == names
    assert [o.sense for o in problem.objectives] == ["max", *["min"] * 5]
    assert [str(c) for c in problem.constraints] == ["accuracy >= 0.5", "peak_mib <= 1"]
    X = SPACE.sample(3, np.random.default_rng(0))
    np.testing.assert_allclose(problem.minimised(X)[:, 5], PeakMemory(SPACE).mean(X))


def test_further_devices_are_further_objectives() -> None:
    section = SearchSection(devices=("other",))
    problem = problem_of(section, SPACE, WORTH, MS, {"other": WORTH})
    columns = [o.column for o in problem.objectives]
    assert columns == ["accuracy", "latency_ms", "latency_on_other_ms"]


def test_what_an_algorithm_cannot_do_is_told() -> None:
    problem, section = asked("best", max_peak_mib=1.0)  # a maximum, which does not add up
    with pytest.raises(RecipeError, match=r'algorithm = "best".*add up'):
        searched(problem, section, 0, problem.reference_point(0))
    problem, section = asked("optuna", sampler="TPE", population=4, generations=1)
    with pytest.raises(RecipeError, match="There is no sampler named 'TPE'"):
        searched(problem, section, 0, problem.reference_point(0))
    for algorithm in ("nsga2", "exact", "best", "random"):
        problem, section = asked(algorithm, max_latency_ms=1e-3)
        with pytest.raises(InfeasibleError, match="latency_ms"):
            searched(problem, section, 0, problem.reference_point(0))
