import numpy as np
import pytest
from scipy.stats import spearmanr

from tailorbird.predictors import FewShotLatency
from tailorbird.spaces import FloatArray, IntArray

N_GENES, N_CHOICES = 8, 4


def devices(n: int, rng: np.random.Generator) -> FloatArray:
    """Latencies of each choice of each gene, (n, genes, choices); two families of devices."""
    families = rng.uniform(0.5, 3, (2, N_GENES, N_CHOICES))
    own = rng.lognormal(0, 0.15, (n, N_GENES, N_CHOICES))
    speed = rng.lognormal(0, 1, (n, 1, 1))
    return np.asarray(families[np.arange(n) % 2] * own * speed)


def latencies(costs: FloatArray, X: IntArray) -> FloatArray:
    return np.asarray(costs[:, np.arange(N_GENES), X].sum(axis=2).T)


@pytest.fixture(scope="module")
def world() -> tuple[IntArray, FloatArray]:
    """Random encodings, and latencies of eleven devices."""
    rng = np.random.default_rng(0)
    X = rng.integers(N_CHOICES, size=(600, N_GENES))
    return X, latencies(devices(11, rng), X)


def rho(few_shot: FewShotLatency, X: IntArray, y_ms: FloatArray) -> float:
    return float(spearmanr(few_shot.mean(X), y_ms).statistic)


def test_ten_samples_of_a_new_device_rank_the_rest(world: tuple[IntArray, FloatArray]) -> None:
    X, Y_ms = world
    few_shot = FewShotLatency(X[:300], Y_ms[:300, :-1])
    few_shot.fit(X[300:310], Y_ms[300:310, -1])
    predicted = few_shot.predict(X[310:])
    assert rho(few_shot, X[310:], Y_ms[310:, -1]) > 0.9
    assert np.allclose(predicted.mean, few_shot.mean(X[310:]), rtol=1e-8)
    assert (predicted.std > 0).all()


def test_a_device_that_is_known_is_recognised(world: tuple[IntArray, FloatArray]) -> None:
    X, Y_ms = world
    few_shot = FewShotLatency(X[:300], Y_ms[:300])
    for device in range(4):
        y_ms = 7 * Y_ms[:, device]
        few_shot.fit(X[300:310], y_ms[300:310])
        assert rho(few_shot, X[310:], y_ms[310:]) > 0.985
        assert np.median(np.abs(few_shot.mean(X[310:]) / y_ms[310:] - 1)) < 0.03


def test_predictions_scale_with_the_samples(world: tuple[IntArray, FloatArray]) -> None:
    X, Y_ms = world
    few_shot = FewShotLatency(X[:200], Y_ms[:200, :-1])
    once = few_shot.fit(X[300:310], Y_ms[300:310, -1]).predict(X[310:320])
    thousandfold = few_shot.fit(X[300:310], 1000 * Y_ms[300:310, -1]).predict(X[310:320])
    np.testing.assert_allclose(thousandfold.mean, 1000 * once.mean, rtol=1e-9)
    np.testing.assert_allclose(thousandfold.std, 1000 * once.std, rtol=1e-6)


def test_neither_order_of_samples_nor_of_devices_matters(
    world: tuple[IntArray, FloatArray],
) -> None:
    X, Y_ms = world
    order, columns = np.arange(309, 299, -1), np.arange(9, -1, -1)
    one = FewShotLatency(X[:200], Y_ms[:200, :-1]).fit(X[300:310], Y_ms[300:310, -1])
    two = FewShotLatency(X[:200], Y_ms[:200, columns]).fit(X[order], Y_ms[order, -1])
    np.testing.assert_allclose(one.mean(X[310:330]), two.mean(X[310:330]), rtol=1e-6)


def test_one_sample_that_took_thrice_as_long_does_little_harm(
    world: tuple[IntArray, FloatArray],
) -> None:
    X, Y_ms = world
    few_shot = FewShotLatency(X[:300], Y_ms[:300, :-1])
    y_ms = Y_ms[:, -1].copy()
    y_ms[304] *= 3
    assert rho(few_shot.fit(X[300:310], y_ms[300:310]), X[310:], Y_ms[310:, -1]) > 0.85


def test_a_pool_with_bursts_is_smoothed(world: tuple[IntArray, FloatArray]) -> None:
    X, Y_ms = world
    rng = np.random.default_rng(1)
    burst = np.where(rng.random(Y_ms.shape) < 0.08, 2.5, 1.0)
    few_shot = FewShotLatency(X[:300], (Y_ms * burst)[:300, :-1])
    few_shot.fit(X[300:310], Y_ms[300:310, -1])
    assert rho(few_shot, X[310:], Y_ms[310:, -1]) > 0.88


@pytest.mark.long
def test_nine_in_ten_intervals_hold_the_truth_over_devices(
    world: tuple[IntArray, FloatArray],
) -> None:
    X, Y_ms = world
    held = []
    for device in range(Y_ms.shape[1]):
        others = np.delete(np.arange(Y_ms.shape[1]), device)
        few_shot = FewShotLatency(X[:300], Y_ms[:300, others])
        few_shot.fit(X[300:310], Y_ms[300:310, device])
        low, high = few_shot.predict(X[310:]).interval(0.9)
        held.append(np.mean((low <= Y_ms[310:, device]) & (Y_ms[310:, device] <= high)))
    assert 0.82 <= np.mean(held) <= 0.97


def test_suggestions_are_distinct_and_of_the_candidates(
    world: tuple[IntArray, FloatArray],
) -> None:
    X, Y_ms = world
    chosen = FewShotLatency(X[:100], Y_ms[:100, :4]).suggest(X[300:320], 20)
    assert sorted(chosen.tolist()) == list(range(20))


@pytest.mark.slow
def test_suggestions_are_better_than_chance(
    world: tuple[IntArray, FloatArray],
) -> None:
    X, Y_ms = world
    rng = np.random.default_rng(3)
    suggested, random = [], []
    for device in range(0, 11, 2):
        others = np.delete(np.arange(Y_ms.shape[1]), device)
        few_shot = FewShotLatency(X[:300], Y_ms[:300, others])
        y_ms = Y_ms[300:, device]
        chosen = few_shot.suggest(X[300:], 4)
        suggested.append(rho(few_shot.fit(X[300:][chosen], y_ms[chosen]), X[300:], y_ms))
        for _ in range(4):
            drawn = rng.choice(300, 4, replace=False)
            random.append(rho(few_shot.fit(X[300:][drawn], y_ms[drawn]), X[300:], y_ms))
    assert np.mean(suggested) > np.mean(random)
    assert np.min(suggested) > np.min(random)


def test_what_is_left_out_is_predicted_from_the_others(world: tuple[IntArray, FloatArray]) -> None:
    X, Y_ms = world
    timed, y_ms = X[300:306], Y_ms[300:306, -1]
    few_shot = FewShotLatency(X[:100], Y_ms[:100, :1]).fit(timed, y_ms)
    left_out = few_shot.left_out()
    for i in range(6):
        others = np.arange(6) != i
        alone = few_shot.fit(timed[others], y_ms[others]).predict(timed[[i]])
        np.testing.assert_allclose(left_out.mean[i], alone.mean[0], rtol=1e-9)
        np.testing.assert_allclose(left_out.std[i], alone.std[0], rtol=1e-9)


def test_a_device_that_is_listed_twice_does_not_feign_certainty(
    world: tuple[IntArray, FloatArray],
) -> None:
    X, Y_ms = world
    copies = Y_ms[:300, [0, 0, 0]] * [1, 2, 3]
    few_shot = FewShotLatency(X[:300], copies).fit(X[300:310], Y_ms[300:310, 1])
    low, high = few_shot.predict(X[310:]).interval(0.9)
    assert np.mean((low <= Y_ms[310:, 1]) & (Y_ms[310:, 1] <= high)) > 0.5


def test_tiny_pools_and_whole_milliseconds_do(world: tuple[IntArray, FloatArray]) -> None:
    X, Y_ms = world
    tiny = FewShotLatency(X[:40], Y_ms[:40, :2])
    for n in (3, 10, 30):
        y_ms = np.ceil(Y_ms[100 : 100 + n, 5])
        assert np.isfinite(tiny.fit(X[100 : 100 + n], y_ms).predict(X[200:]).std).all()


def test_pools_that_cannot_be_are_refused(world: tuple[IntArray, FloatArray]) -> None:
    X, Y_ms = world
    torn = Y_ms[:50].copy()
    torn[7, 2] = np.nan
    with pytest.raises(ValueError, match="row 7, device 2: nan"):
        FewShotLatency(X[:50], torn)
    torn[7, 2] = 0.0
    with pytest.raises(ValueError, match="finite and positive"):
        FewShotLatency(X[:50], torn)
    with pytest.raises(ValueError, match="equal n"):
        FewShotLatency(X[:49], Y_ms[:50])
    with pytest.raises(ValueError, match="one device at least"):
        FewShotLatency(X[:50], Y_ms[:50, :0])
    flat = Y_ms[:50].copy()
    flat[:, 3] = 4.0
    with pytest.raises(ValueError, match="device 3 are alike"):
        FewShotLatency(X[:50], flat)


def test_samples_that_cannot_be_are_refused(world: tuple[IntArray, FloatArray]) -> None:
    X, Y_ms = world
    few_shot = FewShotLatency(X[:100], Y_ms[:100, :3])
    y_ms = Y_ms[100:110, 3]
    with pytest.raises(ValueError, match="At least 3 samples"):
        few_shot.fit(X[100:102], y_ms[:2])
    with pytest.raises(ValueError, match=r"y\[1\] = nan"):
        few_shot.fit(X[100:110], np.where(np.arange(10) == 1, np.nan, y_ms))
    with pytest.raises(ValueError, match=r"all 10 values are 5\.0"):
        few_shot.fit(X[100:110], np.full(10, 5.0))
    with pytest.raises(ValueError, match="must be positive"):
        few_shot.fit(X[100:110], y_ms - y_ms.max())
    with pytest.raises(ValueError, match="must have 8 variables"):
        few_shot.fit(X[100:110, :7], y_ms)
    with pytest.raises(ValueError, match="row 0 has 9"):
        few_shot.fit(np.where(np.arange(N_GENES) == 4, 9, X[100:110]), y_ms)
    with pytest.raises(ValueError, match="1 <= n <= 10"):
        few_shot.suggest(X[:10], 11)


def test_one_device_in_the_pool_is_enough(world: tuple[IntArray, FloatArray]) -> None:
    X, Y_ms = world
    few_shot = FewShotLatency(X[:300], Y_ms[:300, :1])
    assert rho(few_shot.fit(X[300:320], Y_ms[300:320, 2]), X[320:], Y_ms[320:, 2]) > 0.8
