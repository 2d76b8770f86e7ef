from collections.abc import Callable

import numpy as np
import pytest
from own_code import Free, Neighbours

from contracts.accuracy_predictor import AccuracyPredictorContract, N
from tailorbird import spaces
from tailorbird.predictors import AccuracyInputs, Learner
from tailorbird.registry.accuracy_predictors import ACCURACY_PREDICTORS
from tailorbird.registry.python_paths import load
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

SLOW = ("auto", "boosting", "perceptrons")
NAMES = [
    pytest.param(name, marks=pytest.mark.long if name in SLOW else ())
    for name in ACCURACY_PREDICTORS
]


class _InMacroMobileNet(AccuracyPredictorContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return spaces.get("macro-mobilenetv2")


@pytest.mark.parametrize("name", NAMES)
class TestNamedPredictors(_InMacroMobileNet):
    @pytest.fixture
    def make(self, name: str) -> Callable[[AccuracyInputs], Learner]:
        made: Callable[[AccuracyInputs], Learner] = load(ACCURACY_PREDICTORS[name].path)
        return made


class TestNamedPredictorsWithoutWorkloads(TestNamedPredictors):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return Free()

    @pytest.fixture
    def samples(self, space: SearchSpace) -> tuple[IntArray, FloatArray]:
        """More of each choice is better; none is built for that."""
        X = space.sample(N, np.random.default_rng(0))
        return X, 0.9 - 0.3 * np.exp(-X @ np.linspace(0.1, 0.5, X.shape[1]))


class TestOwnPredictor(_InMacroMobileNet):
    @pytest.fixture
    def make(self) -> Callable[[AccuracyInputs], Learner]:
        return Neighbours
