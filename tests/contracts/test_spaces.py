import pytest
from own_code import Perceptrons

from contracts.space import SpaceContract
from tailorbird import spaces
from tailorbird.spaces import SearchSpace

SMALL = ("digits-resnet", "cifar-resnet", "macro-mobilenetv2", "nasbench201", "resnet-18-50")
LARGE = ("deit-ti-s-b", "deit3-s-l", "swin-ti-s-b", "efficientnet-lite-0-1-2", "fbnet")


@pytest.mark.parametrize(
    "name", [*SMALL, *(pytest.param(n, marks=pytest.mark.long) for n in LARGE)]
)
class TestNamedSpaces(SpaceContract):
    @pytest.fixture
    def space(self, name: str) -> SearchSpace:
        return spaces.get(name, batch=2)


class TestLargeSpaces(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return spaces.get("ofa-mobilenetv3")


class TestOwnSpace(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return Perceptrons(batch=2)
