"""The floor of a reference, kept up as its times come."""

import numpy as np
import pytest

from tailorbird.latency_tables.tables.drift import Floor, floor


@pytest.mark.parametrize("n", [0, 1, 2, 11, 300])
def test_a_floor_that_is_kept_up_is_that_of_all(n: int) -> None:
    ms = np.random.default_rng(n).lognormal(size=n).tolist()
    kept = Floor(ms[: n // 2])
    for one in ms[n // 2 :]:
        kept.add(one)
    np.testing.assert_allclose(kept.ms, floor(ms), rtol=1e-12)
