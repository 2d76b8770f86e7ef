import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailorbird.latency_tables import Configuration, Latency, LatencyTable

CONFIGURATION = Configuration("a processor", "x86-64-v3", 1, 16, "tvm", "0.27", "static-1", "1")


def latency(*round_ms: float, drift: float = 1.0) -> Latency:
    return Latency.of_rounds([np.full(3, ms) for ms in round_ms], drift=drift)


@pytest.mark.parametrize("ms", [0.0, -1.0, float("nan")])
def test_a_latency_is_finite_and_positive(ms: float) -> None:
    with pytest.raises(ValueError, match="finite and positive"):
        Latency.of_rounds([np.array([ms])])


def test_rounds_have_one_vote_each_however_many_samples_they_took() -> None:
    """A disturbed round does not settle, so it takes the most samples."""
    rounds = [np.full(10, 1.0), np.full(10, 1.02), np.full(40, 1.5)]
    got = Latency.of_rounds(rounds, hot=[np.full(5, 0.9), np.array([]), np.full(5, 1.1)])
    assert got.median_ms == 1.02
    assert got.round_ms == (1.0, 1.02, 1.5)
    assert got.n_samples == 60
    assert got.hot_ms == pytest.approx(1.0)
    assert Latency.of_rounds(rounds).hot_ms is None
    assert Latency.of_rounds(rounds, hot=[np.array([])] * 3).hot_ms is None


def test_the_spread_is_that_of_rounds_or_of_samples_if_there_is_one() -> None:
    assert latency(2.0, 5.0).std_ms == pytest.approx(np.std([2.0, 5.0], ddof=1))
    assert latency(2.0, 5.0).spread == pytest.approx(np.std([2.0, 5.0], ddof=1) / 3.5)
    ms = np.random.default_rng(0).normal(10.0, 0.5, 10_000)
    assert Latency.of_rounds([ms]).spread == pytest.approx(0.05, rel=0.05)


@given(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=6), st.floats(1e-3, 1e3))
def test_quality_does_not_depend_on_the_unit_or_the_order(rounds: list[float], unit: float) -> None:
    one, other = latency(*rounds), latency(*(unit * ms for ms in reversed(rounds)))
    assert one.spread is not None
    assert other.spread == pytest.approx(one.spread, abs=1e-9)
    if abs(one.spread - 0.05) > 1e-6:
        assert other.is_trusted == one.is_trusted


@pytest.mark.parametrize(
    ("row", "doubt"),
    [
        (latency(1.0, 1.02), None),
        (latency(1.0), "one round only"),
        (latency(1.0, 1.2), "rounds differ by 12.9%"),
        (latency(1.0, 1.02, drift=1.3), "the reference drifted to 1.30x"),
        (Latency.stated(2.0, 0.02), None),
        (Latency.stated(2.0, 0.0), None),
        (Latency.stated(2.0, 0.2), "imported: its spread is 10.0%"),
        (Latency.stated(2.0, None), "imported: spread unknown"),
    ],
)
def test_what_is_to_be_distrusted_says_why(row: Latency, doubt: str | None) -> None:
    assert row.doubts == ((doubt,) if doubt else ())
    assert row.is_trusted == (doubt is None)


def test_a_table_is_as_good_as_its_rows() -> None:
    rows = {
        "a": latency(1.0, 1.0),
        "b": latency(1.0, 2.0),
        "c": latency(1.0, 1.02),
        "d": latency(1),
    }
    table = LatencyTable("local", CONFIGURATION, rows, {"e": "it hung"})
    assert table.share_trusted == 0.5
    assert table.median_spread == pytest.approx(np.median([row.spread for row in rows.values()]))
    rows = {"a": latency(1.0, 1.02), "b": Latency.stated(2.0, None)}
    table = LatencyTable("local", CONFIGURATION, rows, {})
    assert table.share_trusted == 0.5
    assert table.median_spread == rows["a"].spread
    empty = LatencyTable("local", CONFIGURATION, {}, {})
    assert empty.share_trusted is None
    assert empty.median_spread is None
