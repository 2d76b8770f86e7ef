import pytest
from own_rules import pair

from contracts.training_rule import TrainingRuleContract
from tailorbird.registry.python_paths import load
from tailorbird.registry.training_rules import TRAINING_RULES
from tailorbird.spaces import SharedSpace
from tailorbird.spaces.elastic.residual_networks import digits_elastic
from tailorbird.training.supernet.rules import RuleMaker


@pytest.mark.parametrize("name", TRAINING_RULES)
class TestNamedRules(TrainingRuleContract):
    @pytest.fixture
    def space(self) -> SharedSpace:
        return digits_elastic(1, 10)

    @pytest.fixture
    def make(self, name: str) -> RuleMaker:
        made: RuleMaker = load(TRAINING_RULES[name].path)
        return made


class TestOwnRule(TrainingRuleContract):
    @pytest.fixture
    def space(self) -> SharedSpace:
        return digits_elastic(1, 10)

    @pytest.fixture
    def make(self) -> RuleMaker:
        return pair
