"""Distribution of errors: which fraction of a space's networks is how good."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from tailorbird.reports import ErrorDistribution
from tailorbird.reports.plots.curves import error_plot


@given(
    st.lists(st.integers(0, 10).map(lambda n: n / 10), min_size=1, max_size=20),
    st.integers(0, 10).map(lambda n: n / 10),
)
def test_a_fraction_is_that_of_the_errors_that_are_no_larger(
    errors: list[float], at: float
) -> None:
    distribution = ErrorDistribution(np.array(errors))
    assert distribution(at) == np.mean([error <= at for error in errors])
    table = distribution.to_pandas()
    assert table["error"].tolist() == sorted(errors)
    assert table["fraction"].tolist() == [distribution(error) for error in sorted(errors)]
    assert distribution(1.0) == table["fraction"].iloc[-1] == 1


def test_errors_that_are_not_known_are_left_out() -> None:
    distribution = ErrorDistribution(np.array([0.2, np.nan, 0.1, 0.4]))
    assert distribution.errors.tolist() == [0.1, 0.2, 0.4]
    assert repr(distribution) == "ErrorDistribution(3 networks, errors 0.1 to 0.4)"


@pytest.mark.parametrize("errors", [[], [np.nan], [0.1, 1.2], [-0.1, 0.5], [12.0]])
def test_what_is_no_fraction_is_refused_in_a_sentence(errors: list[float]) -> None:
    with pytest.raises(ValueError, match=r"must be fractions from 0 to 1, one of .* 1 - accuracy"):
        ErrorDistribution(np.array(errors))


def test_several_spaces_share_axes() -> None:
    ax = Figure().subplots()
    ErrorDistribution(np.array([0.1, 0.2]), "wide").plot(ax)
    assert ErrorDistribution(np.array([0.3]), "narrow").plot(ax) is ax
    assert ax.get_legend_handles_labels()[1] == ["wide, 2 networks", "narrow, 1 network"]
    drawn = np.asarray(ax.lines[0].get_data(), dtype=float)
    np.testing.assert_allclose(drawn, [[10.0, 10.0, 20.0], [0.0, 0.5, 1.0]])


def test_the_figure_of_a_report_rises_to_all_networks() -> None:
    (line,) = error_plot(ErrorDistribution(np.array([0.5, 0.25, 0.5]))).lines
    assert [*line.x] == [25, 25, 50, 50]
    np.testing.assert_allclose(line.y, [0, 1 / 3, 1, 1])
    assert line.is_step
