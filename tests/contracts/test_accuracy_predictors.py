from collections.abc import Callable

import pytest
from own_code import Neighbours

from contracts.accuracy_predictor import AccuracyPredictorContract
from tailorbird import spaces
from tailorbird.predictors import AccuracyInputs, Learner
from tailorbird.registry.accuracy_predictors import ACCURACY_PREDICTORS
from tailorbird.registry.python_paths import load
from tailorbird.spaces import SearchSpace

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


class TestOwnPredictor(_InMacroMobileNet):
    @pytest.fixture
    def make(self) -> Callable[[AccuracyInputs], Learner]:
        return Neighbours
