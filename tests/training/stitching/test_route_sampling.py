import numpy as np

from tailorbird.spaces import IntArray
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training.stitching import route_sampling


def test_routes_to_train_have_every_number_of_stitches_alike(digits_space: StitchSpace) -> None:
    drawn = route_sampling.by_stitches(digits_space, 0)
    rng = np.random.default_rng(0)
    rows = np.array([drawn(rng) for _ in range(2000)])
    counts = np.bincount(np.count_nonzero(rows[:, 1:], axis=1))
    assert (abs(counts - 500) < 100).all()
    np.testing.assert_array_equal(digits_space.repair(rows), rows)


def test_anchors_have_the_share_that_is_asked_for(digits_space: StitchSpace) -> None:
    draw = route_sampling.by_stitches(digits_space, 0)
    for share in (0.0, 0.5, 0.9):
        drawn = route_sampling.with_share_of_anchors(draw, digits_space, share)
        rng = np.random.default_rng(0)
        rows = np.array([drawn(rng) for _ in range(2000)])
        counts = np.bincount(np.count_nonzero(rows[:, 1:], axis=1), minlength=4)
        others = 2000 * (1 - share) / 3  # with one, two and three stitches
        np.testing.assert_allclose(counts, [2000 * share, others, others, others], atol=100)
        anchors = np.bincount(rows[counts_of(rows) == 0, 0], minlength=4)
        assert (abs(anchors - 500 * share) < 80).all()
        np.testing.assert_array_equal(digits_space.repair(rows), rows)


def counts_of(rows: IntArray) -> IntArray:
    """Number of stitches of each row."""
    return np.asarray(np.count_nonzero(rows[:, 1:], axis=1))
