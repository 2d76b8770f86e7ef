import own_net
import own_shared_net
import pytest
from own_code import BarePerceptrons, Free, Perceptrons

from contracts.space import SpaceContract
from tailorbird import spaces
from tailorbird.spaces import SearchSpace, union_of
from tailorbird.spaces.registry import SPACES

LARGE = {
    "deit-ti-s-b",
    "deit3-s-l",
    "efficientnet-lite-0-1-2",
    "fbnet",
    "mobile-elastic",
    "regnet",
    "swin-ti-s-b",
}
"""Spaces whose networks take seconds to build."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long if name in LARGE else ()) for name in SPACES],
)
class TestNamedSpaces(SpaceContract):
    @pytest.fixture
    def space(self, name: str) -> SearchSpace:
        return spaces.get(name, batch=2)


class TestOwnSpace(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return Perceptrons(batch=2)


class TestElasticSpace(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return own_net.space(batch=2)


class TestElasticWidths(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return own_shared_net.space(batch=2)


class TestOwnPieces(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return own_shared_net.SharedPerceptrons(batch=2)


BARE: dict[str, SearchSpace] = {
    "with repair": BarePerceptrons(batch=2),
    "every row": Free(),
    "one variable": Free((("a", "b", "c"),)),
    "too large to list": Free((("off", "on"),) * 200),
}


@pytest.mark.parametrize("name", BARE)
class TestBareSpaces(SpaceContract):
    @pytest.fixture
    def space(self, name: str) -> SearchSpace:
        return BARE[name]


UNIONS: dict[str, tuple[SearchSpace, ...]] = {
    "stitched and elastic": (
        spaces.get("digits-resnet", batch=2, max_stitches=1),
        spaces.get("digits-elastic", batch=2),
    ),
    "one that is not layered": (
        spaces.get("digits-elastic", batch=2),
        own_shared_net.SharedPerceptrons(batch=2),
    ),
    "a union": (
        own_net.space(batch=2),
        union_of([own_shared_net.space(batch=2), own_shared_net.SharedPerceptrons(batch=2)]),
    ),
    "cells and a chain": (
        spaces.get("nasbench201", batch=2),
        spaces.get("macro-mobilenetv2", batch=2),
    ),
    "without workloads": (Free((("a", "b", "c"),)), BarePerceptrons(batch=2)),
}


@pytest.mark.parametrize("name", UNIONS)
class TestUnions(SpaceContract):
    @pytest.fixture
    def space(self, name: str) -> SearchSpace:
        return union_of(UNIONS[name])
