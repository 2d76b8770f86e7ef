"""What searches rely on in a predictor that learns accuracy."""

from collections.abc import Callable

import numpy as np
import pytest

from tailorbird.predictors import AccuracyInputs, Learner
from tailorbird.predictors.metrics import kendall_tau
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.footprint import count_macs

N_SAMPLES, N = 60, 150


def truth(space: SearchSpace, X: IntArray) -> FloatArray:
    """More arithmetic is better, with diminishing returns."""
    macs = count_macs(space, X).astype(float)
    return np.asarray(0.9 - 0.3 * np.exp(-macs / macs.mean()))


class AccuracyPredictorContract:
    """Needs fixtures `space` and `make`; the space should have hundreds of architectures."""

    @pytest.fixture
    def space(self) -> SearchSpace:
        raise NotImplementedError

    @pytest.fixture
    def make(self) -> Callable[[AccuracyInputs], Learner]:
        raise NotImplementedError

    @pytest.fixture
    def samples(self, space: SearchSpace) -> tuple[IntArray, FloatArray]:
        X = np.unique(space.sample(400, np.random.default_rng(0)), axis=0)
        X = np.random.default_rng(1).permutation(X)[:N]
        return X, truth(space, X)

    def test_it_learns_and_predicts(
        self,
        space: SearchSpace,
        make: Callable[[AccuracyInputs], Learner],
        samples: tuple[IntArray, FloatArray],
    ) -> None:
        X, y = samples
        seen, fresh = slice(None, N_SAMPLES), slice(N_SAMPLES, None)
        predictor = make(AccuracyInputs(space))
        predictor.fit(X[seen], y[seen])
        predicted = predictor.predict(X[fresh])
        assert predicted.mean.shape == predicted.std.shape == (len(X) - N_SAMPLES,)
        assert (predicted.std > 0).all()
        assert predictor.predict(X[:0]).mean.shape == predictor.mean(X[:0]).shape == (0,)
        np.testing.assert_allclose(predictor.predict(X[:1]).mean, predictor.mean(X[:1]), atol=1e-7)
        assert kendall_tau(predicted.mean, y[fresh]) > 0.3
        mean = predictor.mean(X[fresh])
        np.testing.assert_allclose(mean, predicted.mean, atol=1e-7)
        np.testing.assert_allclose(predictor.mean(X[fresh][::-1]), mean[::-1], atol=1e-7)
        again = make(AccuracyInputs(space))
        again.fit(X[seen], y[seen])
        np.testing.assert_array_equal(again.mean(X[fresh]), mean)

    def test_it_learns_again_from_other_samples(
        self,
        space: SearchSpace,
        make: Callable[[AccuracyInputs], Learner],
        samples: tuple[IntArray, FloatArray],
    ) -> None:
        X, y = samples
        predictor = make(AccuracyInputs(space, n_images=1_000))
        predictor.fit(X[:N_SAMPLES], y[:N_SAMPLES])
        predictor.refit(X[:N_SAMPLES], 1.4 - y[:N_SAMPLES])  # what was good is bad now
        assert kendall_tau(predictor.mean(X[N_SAMPLES:]), y[N_SAMPLES:]) < -0.3

    def test_a_missing_accuracy_teaches_nothing_silently(
        self, space: SearchSpace, make: Callable[[AccuracyInputs], Learner]
    ) -> None:
        X = space.landmarks[:1]
        with pytest.raises((ValueError, AttributeError)):
            make(AccuracyInputs(space)).predict(X)
