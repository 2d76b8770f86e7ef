import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tailorbird.search.regret import Chosen, regret, regrets
from tailorbird.spaces import FloatArray

# On the phone wide networks are slow; on the board all are, and the order differs.
PHONE = Chosen(
    "phone",
    np.array([0.70, 0.80, 0.90]),
    {"phone": np.array([1.0, 2.0, 4.0]), "board": np.array([10.0, 40.0, 50.0])},
)
BOARD = Chosen(
    "board",
    np.array([0.75, 0.85]),
    {"phone": np.array([2.0, 4.0]), "board": np.array([10.0, 20.0])},
)


def test_what_the_phones_networks_give_away_on_the_board() -> None:
    found = regret(
        PHONE.accuracy, PHONE.latency_ms["board"], BOARD.accuracy, BOARD.latency_ms["board"]
    )
    # 10 ms buy 0.75; 20 ms, less than 40 and 50, buy 0.85, which the last one beats.
    np.testing.assert_allclose(found.accuracy_lost, [0.05, 0.05, 0.0])
    # 0.70 and more takes 10 ms; 0.80 and more 20 ms; nothing else reaches 0.90.
    np.testing.assert_allclose(found.latency_excess, [0.0, 1.0, 0.0])


def figures(table: pd.DataFrame, chosen_for: str, used_on: str) -> dict[str, float]:
    rows = dict(zip(table.index, table.to_dict(orient="records"), strict=True))
    return {str(name): value for name, value in rows[chosen_for, used_on].items()}


def test_the_matrix_by_hand() -> None:
    table = regrets([PHONE, BOARD])
    there = figures(table, "phone", "board")
    assert there["accuracy_lost_mean"] == pytest.approx(0.1 / 3)
    assert there["accuracy_lost_worst"] == pytest.approx(0.05)
    assert there["latency_excess_mean"] == pytest.approx(1 / 3)
    assert there["latency_excess_worst"] == pytest.approx(1.0)
    # The point is 0.1 * (0.90 - 0.70) below 0.70 and 0.1 * (50 - 10) beyond 50: (0.68, 54).
    own = (20 - 10) * (0.75 - 0.68) + (54 - 20) * (0.85 - 0.68)
    phones = (40 - 10) * 0.02 + (50 - 40) * 0.12 + (54 - 50) * 0.22
    assert there["hypervolume_share"] == pytest.approx(phones / own)
    back = figures(table, "board", "phone")
    # 2 ms buy 0.80 there and 4 ms buy 0.90; 0.75 takes 2 ms at best, 0.85 takes 4 ms.
    assert back["accuracy_lost_mean"] == pytest.approx(0.05)
    assert back["latency_excess_worst"] == 0.0
    assert list(table["hypervolume_share"].unstack().index) == ["board", "phone"]


def test_a_front_has_nothing_to_regret_on_its_own_device() -> None:
    table = regrets([PHONE, BOARD])
    for device in ("phone", "board"):
        own = figures(table, device, device)
        assert own.pop("hypervolume_share") == 1.0
        assert not any(own.values())


N = 8
ACCURACIES = arrays(np.float64, N, elements=st.floats(0.1, 0.99))
LATENCIES = arrays(np.float64, N, elements=st.floats(0.1, 100.0))


@given(ACCURACIES, LATENCIES, ACCURACIES, LATENCIES)
def test_regret_is_never_negative_and_agrees_with_a_search_network_by_network(
    accuracy: FloatArray, latency_ms: FloatArray, theirs: FloatArray, theirs_ms: FloatArray
) -> None:
    found = regret(accuracy, latency_ms, theirs, theirs_ms)
    for i in range(N):
        as_fast = [b for b, ms in zip(theirs, theirs_ms, strict=True) if ms <= latency_ms[i]]
        lost = max([b - accuracy[i] for b in as_fast], default=0.0)
        assert found.accuracy_lost[i] == max(lost, 0.0)
        as_good = [ms for b, ms in zip(theirs, theirs_ms, strict=True) if b >= accuracy[i]]
        excess = max([latency_ms[i] / ms - 1 for ms in as_good], default=0.0)
        assert found.latency_excess[i] == max(excess, 0.0)


@given(ACCURACIES, LATENCIES)
def test_whoever_is_on_a_front_regrets_nothing_there_and_the_others_something(
    accuracy: FloatArray, latency_ms: FloatArray
) -> None:
    dominated = np.array(
        [
            any(
                (b >= a and ms < t) or (b > a and ms <= t)
                for b, ms in zip(accuracy, latency_ms, strict=True)
            )
            for a, t in zip(accuracy, latency_ms, strict=True)
        ]
    )
    front = ~dominated
    own = regret(accuracy, latency_ms, accuracy[front], latency_ms[front])
    assert not own.accuracy_lost[front].any()
    assert not own.latency_excess[front].any()
    assert (own.accuracy_lost + own.latency_excess)[dominated].all()


def test_a_choice_that_does_not_fit_is_refused() -> None:
    y, ms = np.array([0.5]), np.array([1.0])
    with pytest.raises(ValueError, match="must hold 'phone' itself"):
        Chosen("phone", y, {"board": ms})
    with pytest.raises(ValueError, match=r"on 'phone' latency_ms.shape=\(2,\)"):
        Chosen("phone", y, {"phone": np.ones(2)})
    with pytest.raises(ValueError, match="one or more networks"):
        Chosen("phone", y[:0], {"phone": ms[:0]})
    with pytest.raises(ValueError, match=r"on 'phone' one is 0.0 ms"):
        Chosen("phone", y, {"phone": 0 * ms})
    with pytest.raises(ValueError, match=r"are not on \['board'\]"):
        regrets([Chosen("phone", y, {"phone": ms}), BOARD])
    with pytest.raises(ValueError, match="must have one choice"):
        regrets([PHONE, PHONE])


def test_one_network_on_each_device_is_compared_too() -> None:
    y, ms = np.array([0.5]), np.array([1.0])
    table = regrets([Chosen(name, y, {"a": ms, "b": ms}) for name in "ab"])
    assert (table["hypervolume_share"] == 1.0).all()
