import numpy as np
import pytest

from tailorbird import spaces
from tailorbird.data_folder import data_folder
from tailorbird.errors import RecipeError
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.spaces.stitching.digits_resnet import DigitsResNet
from tailorbird.training import published

pytestmark = pytest.mark.data("snnet_stitches.csv.gz")


def space(name: str, **settings: object) -> StitchSpace:
    found = spaces.get(name, **settings)
    assert isinstance(found, StitchSpace)
    return found


@pytest.mark.parametrize(
    ("name", "n"),
    [("deit-ti-s-b", 71), ("deit3-s-l", 134), ("swin-ti-s-b", 41), ("resnet-18-50", 10)],
)
def test_published_networks_are_joined_where_macs_agree(name: str, n: int) -> None:
    named = space(name)
    table = published.snnet(named, data_folder())
    assert len(table.X) == len(table.accuracy) == n
    assert len(np.unique(table.X, axis=0)) == n
    np.testing.assert_array_equal(named.repair(table.X), table.X)
    assert (abs(table.n_macs / table.n_macs_published - 1) <= 0.01).all()
    assert ((table.accuracy > 0.5) & (table.accuracy < 0.9)).all()
    rows = {tuple(row) for row in table.X.tolist()}
    if name != "resnet-18-50":
        assert {tuple(row) for row in named.landmarks.tolist()} <= rows


def test_anchors_have_the_accuracies_of_their_papers() -> None:
    """DeiT: 72.2, 79.9 and 81.8 % before; SN-Net's table holds them after joint training."""
    named = space("deit-ti-s-b")
    table = published.snnet(named, data_folder())
    found = dict(zip(map(tuple, table.X.tolist()), table.accuracy, strict=True))
    alone = [found[tuple(row)] for row in named.landmarks.tolist()]
    np.testing.assert_allclose(alone, [0.722, 0.799, 0.818], atol=0.02)


def test_a_narrower_space_has_fewer_of_them_and_the_batch_does_not_matter() -> None:
    wide = published.snnet(space("deit-ti-s-b", batch=4), data_folder())
    assert len(wide.X) == 71
    named = space("deit-ti-s-b", kernel=1)
    narrow = published.snnet(named, data_folder())
    assert 3 < len(narrow.X) < 71
    texts = map(space("deit-ti-s-b").describe, wide.X)
    known = dict(zip(texts, wide.accuracy, strict=True))
    for row, accuracy in zip(narrow.X, narrow.accuracy, strict=True):
        assert known[named.describe(row)] == accuracy  # the same network, by another code


def test_where_nothing_is_published_a_near_name_is_proposed() -> None:
    named = space("digits-resnet")
    with pytest.raises(RecipeError, match="Nothing is published for 'digits-resnet'"):
        published.snnet(named, data_folder())
    impostor = StitchSpace(DigitsResNet(1, name="deit-ti-s-b"), named.rule, max_stitches=1)
    with pytest.raises((RecipeError, ValueError)):
        published.snnet(impostor, data_folder())
