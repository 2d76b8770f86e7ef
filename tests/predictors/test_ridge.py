"""Ridge regression in the directions that samples span, beside scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import BayesianRidge

from tailorbird import spaces
from tailorbird.errors import TooManySamplesError
from tailorbird.predictors import AdditiveAccuracy, accuracy_predictor
from tailorbird.predictors.accuracy import additive
from tailorbird.predictors.regressors import MOST_IN_PAIRS, Process, Ridge


@pytest.mark.parametrize(("n", "p"), [(10, 200), (30, 100), (60, 90), (200, 40)])
def test_it_is_the_bayesian_ridge_of_scikit_learn(n: int, p: int) -> None:
    rng = np.random.default_rng(n)
    F = rng.normal(size=(n, p)) * rng.uniform(0.1, 2, p) + rng.normal(size=p)
    y = F[:, :5].sum(axis=1) + rng.normal(0, 0.1, n)
    other = rng.normal(size=(50, p))
    means, stds = Ridge().fit(F, y).predict(other)
    expected = BayesianRidge().fit(F, y).predict(other, return_std=True)
    np.testing.assert_allclose(means, expected[0], rtol=0.01, atol=0.01)  # where both stop
    np.testing.assert_allclose(stds, expected[1], rtol=0.01)


def test_features_whose_square_would_not_fit_into_memory_do() -> None:
    rng = np.random.default_rng(0)
    F = rng.normal(size=(20, 200_000))
    means, stds = Ridge().fit(F, F[:, 0]).predict(F[:3])
    assert np.isfinite(means).all()
    assert (stds > 0).all()


def test_a_route_of_many_slots_adds_up_as_one_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (spaces.get("deit-ti-s-b", max_stitches=n) for n in (2, 50))
    X = np.vstack(list(few.enumerate()))[::12]
    y = np.linspace(0.7, 0.8, len(X))
    wide = np.zeros((len(X), 51), dtype=np.int64)
    wide[:, :3] = X
    fitted = AdditiveAccuracy(many).fit(wide, y)
    assert fitted.features_.width > 20_000
    assert np.corrcoef(fitted.mean(wide), AdditiveAccuracy(few).fit(X, y).mean(X))[0, 1] > 0.99
    monkeypatch.setattr(additive, "_MOST_NUMBERS", 10**6)
    with pytest.raises(
        TooManySamplesError, match=r"from at most 1,000,000 numbers, but .* steps each"
    ):
        AdditiveAccuracy(many).fit(wide, y)


def test_what_is_compared_pair_by_pair_is_bounded() -> None:
    F = np.zeros((MOST_IN_PAIRS + 1, 1))
    with pytest.raises(ValueError, match="at most 5,000 samples, but got 5,001"):
        Process().fit(F, F[:, 0])


def test_predictions_of_many_rows_are_those_of_each() -> None:
    space = spaces.get("macro-mobilenetv2")
    X = space.sample(30, np.random.default_rng(0))
    fitted = accuracy_predictor("process", space).fit(X, np.linspace(0.5, 0.9, len(X)))
    many = space.sample(5_000, np.random.default_rng(1))
    whole, few = fitted.predict(many), fitted.predict(many[-3:])
    np.testing.assert_allclose(whole.mean[-3:], few.mean)
    np.testing.assert_allclose(whole.std[-3:], few.std)
