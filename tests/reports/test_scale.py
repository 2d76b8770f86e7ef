"""Scales of plots: round numbers, in their places, under the right labels."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailorbird.reports.plots.scale import Scale, number, round_above

VALUES = st.lists(st.floats(1e-6, 1e7), min_size=1, max_size=20)


def value_of(text: str) -> float:
    return float(text.replace(",", ""))


@given(VALUES, st.booleans())
def test_ticks_are_round_inside_and_say_what_they_are(values: list[float], logs: bool) -> None:
    scale = Scale.around(values, may_be_log=logs)
    ticks = scale.ticks
    assert 1 <= len(ticks) <= 8
    texts = [tick.text for tick in ticks]
    assert len({*texts}) == len(texts)  # 0.2 and 2 are never the same
    for tick in ticks:
        assert value_of(tick.text) == pytest.approx(tick.value, rel=1e-6, abs=1e-12)
        assert -1e-6 <= scale.percent(tick.value) <= 100 + 1e-6
        assert not scale.is_log or tick.value > 0
    places = [scale.percent(tick.value) for tick in ticks]
    assert places == sorted(places)


def mantissa_of(value: float) -> float:
    return float(f"{value:.3e}".partition("e")[0])


@given(VALUES)
def test_steps_are_of_1_2_or_5(values: list[float]) -> None:
    ticks = [tick.value for tick in Scale.around(values).ticks]
    assert {mantissa_of(b - a) for a, b in pairwise(ticks)} <= {1, 2, 5}


@given(st.floats(1e-6, 1e6), st.floats(3e2, 1e9))
def test_logarithms_are_written_at_1_2_and_5(low: float, ratio: float) -> None:
    ticks = [tick.value for tick in Scale.around([low, low * ratio], may_be_log=True).ticks]
    assert {mantissa_of(tick) for tick in ticks} <= {1, 2, 5}
    assert len(ticks) >= 2


@given(st.floats(1e-9, 1e9), st.integers(2, 10))
def test_an_axis_ends_past_what_it_shows(value: float, most: int) -> None:
    end = round_above(value, most)
    assert value * (1 - 1e-9) <= end <= 3 * value


@given(VALUES, st.booleans())
def test_all_values_find_room(values: list[float], logs: bool) -> None:
    scale = Scale.around(values, may_be_log=logs)
    assert all(0 <= scale.percent(value) <= 100 for value in values)


def test_equal_ratios_are_equally_far_apart_on_logarithms_alone() -> None:
    log, linear = Scale(1, 100, is_log=True), Scale(1, 100)
    assert log.percent(10) == pytest.approx(50)
    assert linear.percent(50.5) == pytest.approx(50)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_has_no_place(value: float) -> None:
    assert math.isnan(Scale(0, 1).percent(value))
    assert Scale.around([value, 1.0, 2.0]).low < 1


def test_zero_and_less_have_no_place_on_a_logarithm() -> None:
    scale = Scale(1, 10, is_log=True)
    assert math.isnan(scale.percent(0))
    assert math.isnan(scale.percent(-1))
    assert not Scale.around([0, 1000], may_be_log=True).is_log


def test_a_millisecond_axis_is_labelled_in_1_2_5() -> None:
    texts = [tick.text for tick in Scale.around([0.11, 3.1], may_be_log=True).ticks]
    assert texts == ["0.1", "0.2", "0.5", "1", "2"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-5, "0.00001"), (12000, "12,000"), (0.05, "0.05"), (math.nan, "not known")],
)
def test_numbers_have_no_exponents(value: float, text: str) -> None:
    assert number(value) == text
