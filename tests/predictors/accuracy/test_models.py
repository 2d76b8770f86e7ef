import numpy as np
import own_net
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from tailorbird import spaces
from tailorbird.errors import NotFittedError
from tailorbird.predictors import AccuracyPredictor, Prediction, accuracy_predictor, conformal
from tailorbird.predictors.accuracy import log_error
from tailorbird.predictors.accuracy.features import Features, View
from tailorbird.predictors.accuracy.models import MODELS
from tailorbird.predictors.metrics import kendall_tau
from tailorbird.predictors.regressors import Process
from tailorbird.registry.accuracy_predictors import ACCURACY_PREDICTORS
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.footprint import count_macs

NAMES = ("auto", *MODELS)


def voted(space: SearchSpace, seconds: float = 0.0) -> AccuracyPredictor:
    return AccuracyPredictor(space, tuple(MODELS.values()), seconds=seconds)


def truth(space: SearchSpace, X: IntArray) -> FloatArray:
    """More arithmetic is better, with diminishing returns, and the first gene matters."""
    macs = count_macs(space, X).astype(float)
    return np.asarray(0.9 - 0.3 * np.exp(-macs / macs.mean()) + 0.01 * (X[:, 0] == 1))


@pytest.fixture(scope="module", params=["macro-mobilenetv2", "nasbench201", "digits-resnet"])
def problem(request: pytest.FixtureRequest) -> tuple[SearchSpace, IntArray, FloatArray]:
    space = spaces.get(request.param)
    X = np.unique(space.sample(400, np.random.default_rng(0)), axis=0)
    X = np.random.default_rng(1).permutation(X)
    return space, X, truth(space, X)


@pytest.mark.long
def test_auto_keeps_the_contract(problem: tuple[SearchSpace, IntArray, FloatArray]) -> None:
    keeps_the_contract("auto", *problem)


def keeps_the_contract(name: str, space: SearchSpace, X: IntArray, y: FloatArray) -> None:
    predictor = accuracy_predictor(name, space)
    assert predictor.fit(X[:60], y[:60]) is predictor
    predicted = predictor.predict(X[60:])
    assert predicted.mean.shape == predicted.std.shape == (len(X) - 60,)
    assert (predicted.std > 0).all()
    np.testing.assert_allclose(predictor.mean(X[60:]), predicted.mean, atol=1e-7)
    np.testing.assert_allclose(predictor.mean(X[:59:-1]), predicted.mean[::-1], atol=1e-7)
    assert kendall_tau(predicted.mean, y[60:]) > 0.5
    again = accuracy_predictor(name, space).fit(X[:60], y[:60])
    np.testing.assert_array_equal(again.mean(X[60:]), predictor.mean(X[60:]))


@pytest.mark.parametrize(
    "name", [pytest.param("auto", marks=pytest.mark.long), "process", "forest"]
)
def test_what_cannot_be_learned_from_is_refused(name: str) -> None:
    space = spaces.get("macro-mobilenetv2")
    X = np.unique(space.sample(20, np.random.default_rng(0)), axis=0)
    y = truth(space, X)

    def refused(rows: IntArray, accuracies: FloatArray, match: str) -> None:
        with pytest.raises(ValueError, match=match):
            accuracy_predictor(name, space).fit(rows, accuracies)

    refused(X, np.where(np.arange(len(y)) == 3, np.nan, y), r"y\[3\] = nan")
    refused(X, np.where(np.arange(len(y)) == 3, -np.inf, y), r"y\[3\] = -inf")
    refused(X, np.full(len(y), 0.5), "must vary")
    refused(X[:4], y[:4], "At least 5 samples are needed, but got 4")
    refused(X, 100 * y, "Divide percentages by 100")
    refused(X, y[:-1], "equal n")
    refused(X[:, :7], y, "one per variable")
    refused(np.array([[0, 0, 0, 0, 1, 0, 0, 0]] * 6), y[:6], "canonical")
    fitted = accuracy_predictor(name, space).fit(X, y)
    with pytest.raises(ValueError, match="canonical"):
        fitted.predict(np.array([[0, 0, 0, 0, 1, 0, 0, 0]]))


def test_images_add_their_binomial_error() -> None:
    space = spaces.get("macro-mobilenetv2")
    X = np.unique(space.sample(60, np.random.default_rng(0)), axis=0)
    y = truth(space, X)
    exact = accuracy_predictor("process", space).fit(X[:40], y[:40]).predict(X[40:])
    counted = accuracy_predictor("process", space, 100).fit(X[:40], y[:40]).predict(X[40:])
    np.testing.assert_array_equal(counted.mean, exact.mean)
    added = np.sqrt(counted.std**2 - exact.std**2)
    np.testing.assert_allclose(added, np.sqrt(exact.mean * (1 - exact.mean) / 100), rtol=1e-6)


@pytest.mark.long
def test_auto_listens_to_the_models_that_rank_best() -> None:
    space = spaces.get("nasbench201")
    rng = np.random.default_rng(0)
    X = rng.permutation(np.unique(space.sample(300, rng), axis=0))
    # The longest path of convolutions: only models that see paths can know.
    ops = space.operations_on_paths(X)  # type: ignore[attr-defined]
    y = 0.5 + 0.1 * (ops[:, :, 1] + ops[:, :, 2]).max(axis=1) + rng.normal(0, 0.002, len(X))
    auto = voted(space).fit(X[:100], y[:100])
    assert sum(auto.weights_) == pytest.approx(1)
    assert "process-totals" not in {voter.model.name for voter in auto.voters_}
    assert auto.taus_["forest"] > auto.taus_["process-totals"]


@pytest.mark.long
def test_a_time_budget_buys_more_models_and_is_kept() -> None:
    space = spaces.get("macro-mobilenetv2")
    X = np.unique(space.sample(60, np.random.default_rng(0)), axis=0)
    auto = voted(space, seconds=10).fit(X, truth(space, X))
    assert len(auto.taus_) > len(MODELS)
    with_budget = max(auto.taus_.values())
    without = max(voted(space).fit(X, truth(space, X)).taus_.values())
    assert with_budget >= without


def test_extra_features_are_seen() -> None:
    space = spaces.get("macro-mobilenetv2")
    rng = np.random.default_rng(0)
    X = rng.permutation(np.unique(space.sample(300, rng), axis=0))

    def hidden(X: IntArray) -> FloatArray:
        """What no architecture tells."""
        codes = X @ 3 ** np.arange(8)
        return np.asarray(np.random.default_rng(5).normal(size=3**8)[codes, None])

    y = 0.6 + 0.1 / (1 + np.exp(-hidden(X)[:, 0]))
    blind = accuracy_predictor("process-totals", space).fit(X[:100], y[:100])
    seeing = accuracy_predictor("process-totals", space, extra=hidden).fit(X[:100], y[:100])
    assert abs(kendall_tau(blind.mean(X[100:]), y[100:])) < 0.3
    assert kendall_tau(seeing.mean(X[100:]), y[100:]) > 0.6


def test_extra_features_that_cannot_be_are_refused() -> None:
    space = spaces.get("macro-mobilenetv2")
    X = np.unique(space.sample(30, np.random.default_rng(0)), axis=0)

    def torn(X: IntArray) -> FloatArray:
        return np.full((len(X), 1), np.nan)

    def flat(X: IntArray) -> FloatArray:
        return np.ones(len(X))

    for extra in (torn, flat):
        with pytest.raises(ValueError, match="Extra features must be finite"):
            accuracy_predictor("ridge", space, extra=extra).fit(X, truth(space, X))


@pytest.mark.long
def test_predictors_are_estimators_that_take_what_holds_rows() -> None:
    space = spaces.get("macro-mobilenetv2")
    X = np.unique(space.sample(40, np.random.default_rng(0)), axis=0)
    y = truth(space, X)
    for name in ("auto", "ridge"):
        predictor = clone(accuracy_predictor(name, space, 500))
        with pytest.raises(NotFittedError):
            predictor.predict(X)
        frame = pd.DataFrame(X.astype(float))
        fitted = predictor.fit(frame, list(y))
        np.testing.assert_array_equal(fitted.mean(X.tolist()), fitted.mean(X))
        assert fitted.predict(X[:0]).mean.shape == fitted.mean(X[:0]).shape == (0,)
        with pytest.raises(ValueError, match="whole numbers"):
            fitted.predict(X + 0.5)
    with pytest.raises(ValueError, match="did you mean 'process'"):
        accuracy_predictor("proces", space)


def test_perfect_accuracies_still_rank_with_enough_images() -> None:
    y = np.array([0.9991, 0.9995, 1.0])
    assert (np.diff(log_error.to_scale(y, 100_000)) > 0).all()


def test_every_model_is_a_predictor_by_its_name() -> None:
    assert {*NAMES, "additive"} <= ACCURACY_PREDICTORS.keys()
    for name in MODELS:
        predictor = accuracy_predictor(name, spaces.get("digits-resnet"))
        assert isinstance(predictor, AccuracyPredictor)
        assert [model.name for model in predictor.models] == [name]
        compares = issubclass(type(MODELS[name].make()), Process)
        assert ACCURACY_PREDICTORS[name].compares_pairs == compares


@pytest.mark.parametrize("view", ["totals", "places"])
def test_features_vary_and_are_not_told_twice(
    view: View, problem: tuple[SearchSpace, IntArray, FloatArray]
) -> None:
    space, X, _ = problem
    F = Features(space, view)(X)
    assert np.isfinite(F).all()
    assert np.abs(F).max() < 60
    correlation = np.corrcoef(Features(space, view)(space.sample(1500, np.random.default_rng(0))).T)
    assert (np.abs(correlation - np.diag(np.diag(correlation))) < 1 - 1e-10).all()


def test_features_do_not_depend_on_the_batch(
    problem: tuple[SearchSpace, IntArray, FloatArray],
) -> None:
    space, X, _ = problem
    features = Features(space, "places")
    alone = np.vstack([features(row[None]) for row in X[:20]])
    np.testing.assert_allclose(features(X[:20]), alone, atol=1e-12)


def test_operations_on_paths_by_hand() -> None:
    space = spaces.get("nasbench201")
    paths = {(0, 3): [3], (0, 1, 3): [0, 4], (0, 2, 3): [1, 5], (0, 1, 2, 3): [0, 2, 5]}
    X = space.sample(200, np.random.default_rng(0))
    found = space.operations_on_paths(X)  # type: ignore[attr-defined]
    for row, counted in zip(X, found, strict=True):
        for i, edges in enumerate(paths.values()):
            ops = [int(row[e]) for e in edges]
            expected = [-1] * 4 if 0 in ops else [ops.count(op) for op in (1, 2, 3, 4)]
            assert counted[i].tolist() == expected


@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5])
def test_the_fast_mean_of_a_process_is_the_mean(nu: float) -> None:
    rng = np.random.default_rng(0)
    F = rng.normal(size=(80, 6))
    process = Process(nu).fit(F[:40], np.sin(F[:40, 0]) + 5)
    np.testing.assert_allclose(process.mean(F), process.predict(F)[0], atol=1e-9)


@given(st.lists(st.floats(0, 0.998), min_size=1, max_size=20))
def test_logarithmic_errors_go_back(accuracies: list[float]) -> None:
    y = np.array(accuracies)
    np.testing.assert_allclose(log_error.to_accuracy(log_error.to_scale(y)), y, atol=1e-12)
    small = log_error.from_scale(log_error.to_scale(y), np.full(len(y), 1e-4))
    np.testing.assert_allclose(small.std, 1e-4 * (1 - y), rtol=1e-3)


def test_conformal_scaling_covers_whatever_the_std_says() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(300):
        error = rng.standard_t(4, size=160)
        predicted = Prediction(np.zeros(160), np.full(160, 0.2))
        factor = conformal.scale(Prediction(np.zeros(60), np.full(60, 0.2)), error[:60])
        low, high = predicted.widened(factor).interval(0.9)
        held.append(np.mean((low[60:] <= error[60:]) & (error[60:] <= high[60:])))
    assert np.mean(held) == pytest.approx(0.9, abs=0.015)


def test_conformal_scaling_of_a_handful_takes_the_largest() -> None:
    predicted = Prediction(np.zeros(6), np.ones(6))
    y = np.array([0.1, -0.2, 0.3, 3.29, 0.4, -0.5])
    assert conformal.scale(predicted, y) == pytest.approx(3.29 / 1.6449, rel=1e-4)
    with pytest.raises(ValueError, match="n >= 5"):
        conformal.scale(Prediction(np.zeros(4), np.ones(4)), y[:4])


def test_features_tell_words_among_parameters_apart() -> None:
    space = own_net.space(2)
    relu, gelu = space.landmarks[-1].copy(), space.landmarks[-1].copy()
    relu[-2:], gelu[-2:] = (0, 0), (1, 0)
    views: tuple[View, ...] = ("encoding", "totals", "places")
    for view in views:
        F = Features(space, view)(space.repair(np.array([relu, gelu])))
        assert (F[0] != F[1]).any()
