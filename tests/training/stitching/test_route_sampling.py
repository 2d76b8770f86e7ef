import numpy as np

from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training.stitching import route_sampling


def test_routes_to_train_have_every_number_of_stitches_alike(digits_space: StitchSpace) -> None:
    drawn = route_sampling.by_stitches(digits_space, 0)
    rng = np.random.default_rng(0)
    rows = np.array([drawn(rng) for _ in range(2000)])
    counts = np.bincount(np.count_nonzero(rows[:, 1:], axis=1))
    assert (abs(counts - 500) < 100).all()
    np.testing.assert_array_equal(digits_space.repair(rows), rows)
