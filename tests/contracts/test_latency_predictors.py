from collections.abc import Callable

import pytest
from own_code import BarePerceptrons, Free, proportional

from contracts.latency_predictor import LatencyPredictorContract, measured
from tailorbird import spaces
from tailorbird.errors import UnknownWorkloadsError
from tailorbird.predictors import AdaptedSum, LatencyInputs, Predictor
from tailorbird.predictors.latency.calibrated_sum import calibrated_sum
from tailorbird.predictors.latency.inferred_sum import inferred_sum
from tailorbird.predictors.latency.table_sum import table_sum
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


@pytest.mark.parametrize("space", [Free(), BarePerceptrons()], ids=lambda space: str(space.name))
class TestInferredSumWithoutWorkloads(LatencyPredictorContract):
    @pytest.fixture
    def make(self) -> Callable[[LatencyInputs], Predictor]:
        return inferred_sum


@pytest.mark.parametrize("make", [table_sum, calibrated_sum])
def test_tables_are_of_no_use_without_workloads(make: Callable[[LatencyInputs], Predictor]) -> None:
    inputs, _ = measured(Free())
    with pytest.raises(UnknownWorkloadsError, match=r"free names none\. Learn latency from"):
        make(inputs)
    with pytest.raises(UnknownWorkloadsError, match="free names none"):
        AdaptedSum(inputs.space, [inputs.table])
