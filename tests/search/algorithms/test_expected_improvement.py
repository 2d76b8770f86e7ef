import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from tailorbird.search.algorithms.guided.expected_improvement import ExpectedImprovement, choose
from tailorbird.spaces import FloatArray

REF, IDEAL = np.ones(3), np.zeros(3)


def over(F: FloatArray, along: int = 0) -> ExpectedImprovement:
    m = F.shape[1]
    return ExpectedImprovement(F, REF[:m], IDEAL[:m], along)


def gain(front: FloatArray, f: FloatArray) -> float:
    ref = REF[: front.shape[1]]
    inside = f[None] if (f < ref).all() else front[:0]
    volumes = (moocore.hypervolume(F, ref=ref) for F in (np.vstack([front, inside]), front))
    return float(np.subtract(*volumes))


def test_with_one_objective_it_is_the_textbooks_expected_improvement() -> None:
    # Jones, Schonlau, Welch 1998: s (u Phi(u) + phi(u)), u = (best - mean) / s.
    mean, std, best = np.array([[0.4], [0.7]]), np.array([[0.2], [0.1]]), 0.5
    u = (best - mean[:, 0]) / std[:, 0]
    expected = std[:, 0] * (u * norm.cdf(u) + norm.pdf(u))
    np.testing.assert_allclose(over(np.array([[best], [0.9]]))(mean, std), expected, rtol=1e-9)


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("unsure", [1, 2])
def test_it_is_the_mean_gain_of_draws(m: int, unsure: int) -> None:
    rng = np.random.default_rng(m)
    front = rng.uniform(0.3, 0.9, (12, m))
    mean, std = np.full(m, 0.4), np.zeros(m)
    std[:unsure] = 0.08
    drawn = mean + std * rng.standard_normal((4_000, m))
    gains = [gain(front, f) for f in drawn]
    error = 4 * np.std(gains) / np.sqrt(len(gains)) + 0.01 * np.mean(gains)  # and of the rays
    assert over(front)(mean[None], std[None])[0] == pytest.approx(np.mean(gains), abs=error)


@given(st.integers(0, 2**31), st.integers(0, 1))
def test_of_what_is_sure_it_is_the_gain(seed: int, along: int) -> None:
    rng = np.random.default_rng(seed)
    front, F = rng.random((8, 2)), rng.random((5, 2))
    found = over(front, along)(F, np.zeros_like(F))
    np.testing.assert_allclose(found, [gain(front, f) for f in F], atol=2e-3)


@given(st.integers(0, 2**31))
@settings(max_examples=15)
def test_a_batch_is_chosen_one_by_one_each_believed_before_the_next(seed: int) -> None:
    rng = np.random.default_rng(seed)
    front, F = rng.random((5, 2)), rng.random((200, 2))
    std = np.column_stack([rng.uniform(0.0, 0.1, 200), np.zeros(200)])
    chance = rng.random(200)
    slow, expected = over(front), list[int]()
    for _ in range(7):
        gains = slow(F, std) * chance
        gains[expected] = -1.0
        expected.append(int(gains.argmax()))
        slow.believe(F[expected[-1:]])
    assert choose(over(front), F, std, chance, 7).tolist() == expected


def test_copies_of_one_network_are_not_a_batch() -> None:
    F = np.array([[0.2, 0.2]] * 5 + [[0.1, 0.8]])
    chosen = choose(over(np.array([[0.9, 0.9]])), F, np.full_like(F, 1e-3), np.ones(6), 2)
    assert sorted(F[chosen, 0]) == [0.1, 0.2]


def test_all_of_a_few_are_chosen_once() -> None:
    F = np.random.default_rng(0).random((40, 2))
    chosen = choose(over(F[:3]), F, np.full_like(F, 0.05), np.ones(40), 40)
    assert sorted(chosen) == list(range(40))


def test_ties_of_many_end() -> None:
    F = np.tile([[0.9, 0.9]], (500, 1))
    chosen = choose(over(np.array([[0.1, 0.1]])), F, np.zeros_like(F), np.ones(500), 5)
    assert len(set(chosen.tolist())) == 5


def test_a_batch_is_no_larger_than_what_there_is() -> None:
    F = np.array([[0.2, 0.2], [0.3, 0.1]])
    assert sorted(choose(over(F[:0]), F, np.zeros_like(F), np.ones(2), 9)) == [0, 1]
