"""Differences of two networks by scores of one's own, with and without a standard error."""

import sys
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tailorbird.training import Split, Trained
from tailorbird.training.finetuning.difference import Difference, difference, paired_error

N = 40
LABELS = np.arange(N) % 10
SPLIT = Split(np.zeros((N, 1, 1, 1), np.float32), LABELS)


def right_on(n: int) -> Trained:
    """A network that is right on the first n images."""
    answers = np.where(np.arange(N) < n, LABELS, (LABELS + 1) % 10)
    outputs = np.eye(10, dtype=np.float32)[answers]
    return cast(Trained, SimpleNamespace(outputs=lambda row, split: outputs))


def by_right(outputs: Any, labels: Any) -> float:
    return float(np.mean(outputs.argmax(1) == labels))


def weighted(outputs: Any, labels: Any) -> float:
    """Has a weight for each image, so that it is for the whole split alone."""
    weights = {N: np.linspace(1, 2, N)}[len(labels)]
    return float(np.average(outputs.argmax(1) == labels, weights=weights))


def leaving(outputs: Any, labels: Any) -> float:
    return by_right(outputs, labels) if len(labels) == N else sys.exit("no parts")


def beyond(outputs: Any, labels: Any) -> float:
    return by_right(outputs, labels) * (1 if len(labels) == N else np.nan)


@pytest.mark.parametrize("score", [weighted, leaving, beyond])
def test_a_score_of_whole_splits_has_no_standard_error(score: Any) -> None:
    better = difference(right_on(30), right_on(20), np.zeros(1, int), SPLIT, score)
    assert better.mean > 0
    assert np.isnan(better.std)
    assert (better.is_likely, better.is_sure) == (True, False)
    worse = difference(right_on(20), right_on(30), np.zeros(1, int), SPLIT, score)
    assert worse.mean == pytest.approx(-better.mean)
    assert not worse.is_likely
    same = difference(right_on(20), right_on(20), np.zeros(1, int), SPLIT, score)
    assert not same.is_likely


def test_a_score_that_takes_parts_has_one() -> None:
    found = difference(right_on(30), right_on(20), np.zeros(1, int), SPLIT, by_right)
    assert found.mean == pytest.approx(0.25)
    assert found.std == pytest.approx(np.sqrt(0.25 * 0.75 / N), rel=0.4)


def test_a_score_that_fails_of_a_whole_split_is_an_error() -> None:
    def failing(outputs: Any, labels: Any) -> float:
        raise LookupError

    with pytest.raises(LookupError):
        difference(right_on(30), right_on(20), np.zeros(1, int), SPLIT, failing)


@pytest.mark.parametrize(("mean", "is_likely"), [(0.03, True), (0.01, False), (-0.03, False)])
def test_less_than_a_known_standard_error_is_noise(mean: float, is_likely: bool) -> None:
    assert Difference(mean, 0.02).is_likely == is_likely


@pytest.mark.parametrize("n", [10, 20, 39])
def test_one_image_is_never_a_standard_error(n: int) -> None:
    better, row = right_on(n + 1), np.zeros(1, int)
    found = difference(better, right_on(n), row, SPLIT)
    assert found.mean == pytest.approx(1 / N)
    assert not found.is_likely
    assert difference(right_on(n), right_on(n - 5), row, SPLIT).is_likely
    assert not difference(right_on(n), right_on(n - 4), row, SPLIT).is_sure  # a coin does so often


@given(won=st.integers(0, 60), lost=st.integers(0, 60))
def test_what_is_surely_better_would_be_rare_among_equal_networks(won: int, lost: int) -> None:
    """As an exact sign test says."""
    found = Difference((won - lost) / 600, paired_error(won, lost, 600))
    if found.is_sure:
        assert binomtest(won, won + lost, alternative="greater").pvalue < 0.06
