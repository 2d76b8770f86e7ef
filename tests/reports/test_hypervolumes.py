"""Hypervolumes of checked fronts in one box."""

import numpy as np
import pandas as pd
import pytest

from tailorbird.reports.hypervolumes import Box, hypervolumes


def frame(rows: list[tuple[float, float, str]]) -> pd.DataFrame:
    ms, accuracy, space = zip(*rows, strict=True)
    return pd.DataFrame({"latency_ms_measured": ms, "accuracy_test": accuracy, "space": space})


FRONT = frame([(1.0, 0.6, "a"), (2.0, 0.8, "b"), (np.nan, 1.0, "a")])
RANDOM = frame([(3.0, 0.7, "a"), (5.0, 0.4, "b"), (2.0, 0.9, "c")])


def test_a_front_has_the_fraction_of_the_box_that_it_dominates() -> None:
    of = hypervolumes(FRONT, RANDOM, ["a", "b", "c"])
    assert of is not None
    assert of["box"] == {"latency_ms": [1.0, 5.0], "accuracy": [0.4, 0.9]}
    # Latencies 0 and 1/4 of the range, accuracies 2/5 and 4/5 of it.
    assert of["spaces"] == pytest.approx({"a": 0.4, "b": 0.75 * 0.8, "c": 0.0})
    assert of["union"] == pytest.approx(0.4 + 0.75 * 0.4)


@pytest.mark.parametrize(
    "networks",
    [FRONT[2:], frame([(1.0, 0.5, "a"), (1.0, 0.6, "a")]), frame([(1.0, 0.5, "a")])],
)
def test_networks_that_span_no_box_have_no_hypervolume(networks: pd.DataFrame) -> None:
    assert Box.around(networks) is None
    assert hypervolumes(networks, networks, ["a"]) is None
