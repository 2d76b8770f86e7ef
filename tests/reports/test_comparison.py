import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailorbird.latency_tables import Configuration, Latency, LatencyTable
from tailorbird.reports.comparison import Comparison

CONFIGURATION = Configuration("a processor", "x86-64-v3", 1, 16, "tvm", "0.27", "static-1", "1")
latencies = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.01, 100.0))


def table(ms: dict[str, float], threads: int = 1) -> LatencyTable:
    entries = {key: Latency.of_rounds([np.array([value])]) for key, value in ms.items()}
    return LatencyTable("d", replace(CONFIGURATION, threads=threads), entries, {})


def test_ratios_are_those_of_the_right_over_the_left() -> None:
    left = table({"a": 1.0, "b": 2.0, "c": 4.0, "x": 1.0})
    right = table({"a": 2.0, "b": 16.0, "c": 8.0, "y": 1.0}, threads=2)
    compared = Comparison(left, right)
    summary = compared.summary
    assert summary["ratios"] == {"a": 2.0, "b": 8.0, "c": 2.0}
    assert summary["geometric_mean"] == pytest.approx(32 ** (1 / 3))
    assert summary["kendall_tau"] == pytest.approx(1 / 3)  # two pairs of three in one order
    assert (summary["only_left"], summary["only_right"]) == (["x"], ["y"])
    assert summary["configuration"] == {"threads": [1, 2]}
    assert "threads: 1 / 2" in str(compared)
    assert "x (not on the right)" in str(compared)
    assert "y (not on the left)" in str(compared)


@given(latencies, latencies)
def test_the_other_way_round_is_the_inverse(
    left: dict[str, float], right: dict[str, float]
) -> None:
    one, other = (Comparison(table(a), table(b)) for a, b in ((left, right), (right, left)))
    json.dumps(one.summary, allow_nan=False)
    assert str(one)
    assert one.ratios == pytest.approx({key: 1 / ratio for key, ratio in other.ratios.items()})
    assert one.summary["kendall_tau"] == pytest.approx(other.summary["kendall_tau"])
    assert one.summary["only_left"] == other.summary["only_right"]


def test_a_table_is_equal_to_itself() -> None:
    one = table({"a": 1.0, "b": 2.0})
    summary = Comparison(one, one).summary
    assert (summary["geometric_mean"], summary["kendall_tau"]) == (1.0, 1.0)
    assert "equal" in str(Comparison(one, one))
    assert "share no program" in str(Comparison(one, table({})))
