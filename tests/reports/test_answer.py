"""The sentence that answers which network to take."""

import numpy as np
import pandas as pd

from tailorbird.reports.answer import answer, chosen_by, damaged, optimism
from tailorbird.reports.measures import accuracy_of, latency_of


def frame(rows: list[tuple[float, float]], std: float = 0.006) -> pd.DataFrame:
    ms, accuracy = (np.array(column) for column in zip(*rows, strict=True))
    return pd.DataFrame(
        {
            "architecture": [f"n{i}" for i in range(len(rows))],
            "latency_ms_measured": ms,
            "latency_ms_predicted": ms,
            "accuracy_test": accuracy,
            "accuracy_test_std": std,
            "accuracy_validation": accuracy,
            "accuracy_predicted": accuracy + 0.01,
            "is_non_dominated": True,
        }
    )


def said(front: pd.DataFrame) -> str:
    return answer(front, latency_of(front), accuracy_of(front))


def test_both_ends_of_the_front_and_what_lies_between_are_told() -> None:
    text = said(frame([(0.53, 0.8), (2.05, 0.98), (1.0, 0.9)]))
    assert text == (
        "Test accuracy over measured latency: 80.0 ± 0.6 % at 0.53 ms; 98.0 ± 0.6 % at 2.05 ms. "
        "That is 3.9 times the time for 18.0 ± 0.8 points."
    )


def test_a_cheaper_network_that_is_as_good_is_named() -> None:
    front = frame([(1.0, 0.5), (2.0, 0.75), (8.0, 0.74)]).assign(
        accuracy_validation=[0.5, 0.74, 0.75]
    )
    assert said(front).endswith("n1 is as good in this figure at 2 ms.")
    assert "as good" not in said(frame([(1.0, 0.5), (2.0, 0.73), (8.0, 0.74)]))


def test_anchors_that_lost_accuracy_when_they_were_stitched_are_told() -> None:
    alone, inside = frame([(1.0, 0.88), (2.0, 0.94)]), frame([(1.0, 0.53), (2.0, 0.935)])
    text = damaged(alone, inside)
    assert text.startswith("1 of 2 anchors lost accuracy when they were stitched, most n0: 88 %")
    assert "53 % now. Lower [accuracy.shared_learning_rates]" in text
    assert not damaged(alone, frame([(1.0, 0.87), (2.0, 0.93)]))  # noise
    assert not damaged(alone, frame([(1.0, np.nan), (2.0, 0.95)]))
    assert not damaged(alone.iloc[:0], inside)


def test_a_gain_that_is_noise_is_called_so() -> None:
    assert "within two standard errors: perhaps none" in said(frame([(0.53, 0.976), (2.05, 0.983)]))
    assert "two standard errors" not in said(frame([(0.53, 0.9), (2.05, 0.983)]))


def test_a_gain_whose_error_nobody_knows_is_told_without() -> None:
    text = said(frame([(1.0, 0.5), (2.0, 0.75)], std=np.nan))
    assert text.endswith("2.0 times the time for 25 points.")


def test_one_network_is_both_ends_and_none_is_told() -> None:
    assert "No network of the front costs less" in said(frame([(1.0, 0.5)]))
    nothing = frame([(1.0, np.nan)])
    assert "nothing to choose by" in said(nothing)


def test_of_equally_cheap_networks_the_better_one_is_told() -> None:
    text = said(frame([(1.0, 0.5), (1.0, 0.8), (2.0, 0.9)]))
    assert "80.0 ± 0.6 % at 1 ms; 90.0 ± 0.6 % at 2 ms. That is 2.0 times the time for 10.0" in text


def test_the_upper_end_is_chosen_by_validation_images_as_exports_are() -> None:
    front = frame([(1.0, 0.5), (2.0, 0.75), (3.0, 0.7)]).assign(accuracy_validation=[0.5, 0.6, 0.7])
    assert "70.0 ± 0.6 % at 3 ms" in said(front)


def test_equal_costs_and_free_ones_have_no_ratio() -> None:
    assert "times" not in said(frame([(1.0, 0.5), (1.002, 0.8)]))
    assert "times" not in said(frame([(0.0, 0.5), (1.0, 0.8)]))


def test_networks_are_chosen_by_validation_images_and_the_unknown_come_last() -> None:
    front = frame([(1.0, 0.5), (2.0, 0.6)])
    assert chosen_by(front).tolist() == [0.5, 0.6]
    part = front.assign(accuracy_validation=[np.nan, 0.1])
    assert chosen_by(part).argmax() == 1
    none = front.assign(accuracy_validation=np.nan)
    assert chosen_by(none).tolist() == none["accuracy_predicted"].tolist()


def test_predictions_above_tests_are_explained_and_others_are_not() -> None:
    front = frame([(1.0, 0.5), (2.0, 0.6), (3.0, 0.7)])
    front["accuracy_predicted"] += [0.001, 0.0, -0.001]
    assert "lie 1.0 points above tests" in optimism(front)
    assert optimism(front.assign(accuracy_predicted=0.1)) == ""
    unsure = front.assign(accuracy_predicted=front["accuracy_test"] + [0.03, -0.02, 0.01])
    assert optimism(unsure) == ""
    assert optimism(front[:2]) == ""
    assert optimism(front.assign(accuracy_test=np.nan)) == ""
