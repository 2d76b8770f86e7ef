"""Sums of covariances with learned variances, on functions whose truth is known."""

import numpy as np
import pytest

from tailorbird.predictors.gaussian_process import ComponentProcess
from tailorbird.predictors.latency.workload_similarity import matern
from tailorbird.spaces import FloatArray


def drawn(seed: int, n: int = 60) -> tuple[FloatArray, FloatArray]:
    """Points (n, 4), and values that are linear in the first of their coordinates."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, 4))
    return Z, 3.0 + 2.0 * Z[:, 0] + rng.normal(0, 0.1, n)


def components(A: FloatArray, B: FloatArray) -> FloatArray:
    """One for each coordinate, and a smooth one."""
    return np.array([*(np.outer(a, b) for a, b in zip(A.T, B.T, strict=True)), matern(A, B, 1.0)])


def fitted(Z: FloatArray, y: FloatArray) -> ComponentProcess:
    return ComponentProcess().fit(components(Z, Z), y, np.ones(len(y)))


def test_components_that_explain_nothing_vanish() -> None:
    variances = fitted(*drawn(0)).variances_
    assert variances[0] > 0.1
    assert (variances[1:] < 0.02 * variances[0]).all()


def test_new_samples_are_predicted_and_their_stds_hold() -> None:
    covered = []
    for seed in range(5):
        Z, y = drawn(seed, 260)
        process = fitted(Z[:60], y[:60])
        cross = np.tensordot(process.variances_, components(Z[60:], Z[:60]), 1)
        own = process.variances_ @ np.diagonal(components(Z[60:], Z[60:]), axis1=1, axis2=2)
        found = process.predict(cross, own, np.ones(200))
        np.testing.assert_array_equal(found.mean, process.mean(cross))
        assert np.sqrt(np.mean((found.mean - y[60:]) ** 2)) < 0.13
        covered.append(np.mean(np.abs(found.mean - y[60:]) < 1.645 * found.std))
    assert 0.82 < np.mean(covered) < 0.97


def test_the_formula_of_the_textbook() -> None:
    """Rasmussen and Williams, equations 2.23 and 2.24, with the weights of the samples all 1."""
    Z, y = drawn(1, 30)
    process = ComponentProcess(freedom=1e12)  # a normal distribution
    process.fit(components(Z[:20], Z[:20]), y[:20], np.ones(20))

    def covariance(A: FloatArray, B: FloatArray) -> FloatArray:
        return np.asarray(np.tensordot(process.variances_, components(A, B), 1))

    noise = process._theta[-1]
    z = (y[:20] - y[:20].mean()) / y[:20].std()
    inverse = np.linalg.inv(covariance(Z[:20], Z[:20]) + 10.0 + noise * np.eye(20))
    across = covariance(Z[20:], Z[:20]) + 10.0
    mean = y[:20].mean() + y[:20].std() * across @ inverse @ z
    own = covariance(Z[20:], Z[20:])
    spread = y[:20].var() * (own + 10.0 + noise * np.eye(10) - across @ inverse @ across.T)
    cross = covariance(Z[20:], Z[:20])
    np.testing.assert_allclose(process.mean(cross), mean, rtol=1e-6)
    np.testing.assert_allclose(process.covariance(cross, own, np.ones(10)), spread, atol=1e-8)
    std = process.predict(cross, np.diag(own), np.ones(10)).std
    np.testing.assert_allclose(std, np.sqrt(np.diag(spread)), rtol=1e-6)


def test_one_bad_value_does_not_bend_the_rest() -> None:
    Z, y = drawn(2)
    bad = y.copy()
    bad[7] += 50.0
    good_rows = np.arange(60) != 7
    process = fitted(Z, bad)
    means = process.mean(np.tensordot(process.variances_, components(Z, Z), 1))
    assert np.abs(means - y)[good_rows].max() < 0.5


def test_a_process_that_begins_where_another_ended_ends_where_it_would_have_alone() -> None:
    Z, y = drawn(3)
    K, ones = components(Z[:50], Z[:50]), np.ones(50)
    whole = fitted(Z, y)
    alone = ComponentProcess().fit(K, y[:50], ones)
    warm = ComponentProcess().fit(K, y[:50], ones, like=whole)
    cross = components(Z[50:], Z[:50])
    first, second = (
        process.mean(np.tensordot(process.variances_, cross, 1)) for process in (alone, warm)
    )
    np.testing.assert_allclose(first, second, atol=0.01)


def test_variances_are_learned_from_some_of_many() -> None:
    Z, y = drawn(4, 500)
    process = fitted(Z, y)
    assert process.variances_[0] > 0.1
    assert process.dual_.shape == (500,)


@pytest.mark.parametrize("length", [0.5, 2.0])
def test_covariances_of_neighbours_fall_from_one(length: float) -> None:
    line = np.linspace(0, 5, 20)[:, None]
    K = matern(line, line, length)
    np.testing.assert_allclose(np.diag(K), 1.0)
    assert (np.diff(K[0]) < 0).all()
    r = np.sqrt(5) * line[3, 0] / length
    assert K[0, 3] == pytest.approx((1 + r + r**2 / 3) * np.exp(-r))
    assert np.linalg.eigvalsh(K).min() > -1e-9
