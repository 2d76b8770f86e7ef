from collections.abc import Callable

import pytest
from own_code import proportional

from contracts.latency_predictor import LatencyPredictorContract
from tailorbird import spaces
from tailorbird.predictors import AdaptedSum, LatencyInputs, Predictor
from tailorbird.registry.latency_predictors import LATENCY_PREDICTORS
from tailorbird.registry.python_paths import load
from tailorbird.spaces import SearchSpace


class _InDigits(LatencyPredictorContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return spaces.get("digits-resnet")


@pytest.mark.parametrize("name", LATENCY_PREDICTORS)
class TestNamedPredictors(_InDigits):
    @pytest.fixture
    def make(self, name: str) -> Callable[[LatencyInputs], Predictor]:
        made: Callable[[LatencyInputs], Predictor] = load(LATENCY_PREDICTORS[name].path)
        return made


class TestAdaptedSum(_InDigits):
    @pytest.fixture
    def make(self) -> Callable[[LatencyInputs], Predictor]:
        def adapted(inputs: LatencyInputs) -> Predictor:
            return AdaptedSum(inputs.space, [inputs.table]).fit(inputs.X, inputs.y_ms)

        return adapted


class TestOwnPredictor(_InDigits):
    @pytest.fixture
    def make(self) -> Callable[[LatencyInputs], Predictor]:
        return proportional
