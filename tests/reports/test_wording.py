"""Figures with errors, as people read them."""

import math

import pytest

from tailorbird.reports.wording import plain, with_error

NAN = math.nan


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (97.6123, 0.41, "97.6 ± 0.4 ms"),
        (0.5312, 0.0234, "0.53 ± 0.02 ms"),
        (1234.5, 20.0, "1,234 ± 20 ms"),
        (0.5, 0.096, "0.5 ± 0.1 ms"),
        (2.0517, NAN, "2.05 ms"),
        (123456.0, NAN, "123,456 ms"),
        (2.0517, 0.0, "2.05 ms"),
        (NAN, 0.1, "not known"),
        (math.inf, 0.1, "not known"),
        (-1.25, 0.03, "-1.25 ± 0.03 ms"),
    ],
)
def test_a_figure_is_rounded_by_its_error(value: float, error: float, text: str) -> None:
    assert with_error(value, error, "ms") == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (1e-4, "0.0001"), (426.4e6, "426,400,000")]
)
def test_without_an_error_three_digits_are_kept(value: float, text: str) -> None:
    assert plain(value) == text


def test_no_unit_leaves_no_space() -> None:
    assert with_error(1.0, 0.1, "") == "1.0 ± 0.1"
