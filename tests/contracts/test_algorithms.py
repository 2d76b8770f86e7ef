import pytest
from own_code import Free, Perceptrons, hill_climbing

from contracts.algorithm import AlgorithmContract, Search
from tailorbird import spaces
from tailorbird.registry.algorithms import ALGORITHMS
from tailorbird.registry.python_paths import load
from tailorbird.spaces import SearchSpace

HEURISTIC = [
    name for name, entry in ALGORITHMS.items() if not (entry.spends_evaluations or entry.is_exact)
]


class _Named(AlgorithmContract):
    @pytest.fixture
    def search(self, name: str) -> Search:
        search: Search = load(ALGORITHMS[name].path)
        return search


@pytest.mark.parametrize("name", HEURISTIC)
class TestNamedAlgorithms(_Named):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return spaces.get("macro-mobilenetv2")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long if name == "optuna" else ()) for name in HEURISTIC],
)
class TestNamedAlgorithmsWithoutWorkloads(_Named):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return Free()


class TestExact(AlgorithmContract):
    least = 1.0 - 1e-9
    is_exact = True

    @pytest.fixture
    def space(self) -> SearchSpace:
        return spaces.get("macro-mobilenetv2")

    @pytest.fixture
    def search(self) -> Search:
        search: Search = load(ALGORITHMS["exact"].path)
        return search


class TestExactWithoutWorkloads(TestExact):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return Free()


class TestBest(AlgorithmContract):
    n_objectives = 1
    least = 1.0 - 1e-9
    is_exact = True

    @pytest.fixture
    def space(self) -> SearchSpace:
        return spaces.get("macro-mobilenetv2")

    @pytest.fixture
    def search(self) -> Search:
        search: Search = load(ALGORITHMS["best"].path)
        return search


class TestBestWithoutWorkloads(TestBest):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return Free()


class TestOwnAlgorithm(AlgorithmContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return Perceptrons()

    @pytest.fixture
    def search(self) -> Search:
        return hill_climbing
