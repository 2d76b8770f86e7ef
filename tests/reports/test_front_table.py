"""A front on a terminal: few lines, rounded, with units."""

import numpy as np
import pandas as pd
import pytest
from scripts.made_up_report import made_up_report

from tailorbird import spaces
from tailorbird.reports.front_table import front_table, regret_table
from tailorbird.reports.measures import accuracy_of, latency_of, non_dominated

TWO = ("accuracy", "latency_ms")

SPACE = spaces.get("digits-resnet")


def line_front(n: int) -> pd.DataFrame:
    """Networks of which none beats another."""
    ms = np.linspace(1, 2, n)
    return pd.DataFrame(
        {
            "architecture": [f"network {i}" for i in range(n)],
            "accuracy_test": ms / 4,
            "accuracy_test_std": 0.004,
            "accuracy_validation": np.nan,
            "accuracy_predicted": 0.5,
            "latency_ms_measured": ms,
            "latency_ms_predicted": 1.0,
        }
    )


@pytest.mark.parametrize("n", [1, 9, 10, 200])
def test_at_most_ten_lines_show_the_ends_and_what_is_between(n: int) -> None:
    lines = front_table(line_front(n), TWO)
    assert len(lines) == 1 + min(n, 9)
    assert "network 0" in lines[1]
    assert f"network {n - 1}" in lines[-1]
    assert len({*lines}) == len(lines)


def test_figures_are_rounded_under_titles_with_units() -> None:
    title, row = front_table(line_front(1), TWO)
    assert title == "test accuracy, %  measured latency, ms  network"
    assert row == "      25.0 ± 0.4                     1  network 0"


def test_beaten_networks_are_left_out() -> None:
    front = made_up_report(SPACE).front.networks
    best = front[non_dominated(front, (accuracy_of(front), latency_of(front)))]
    lines = front_table(front, TWO)
    assert len(lines) == 1 + min(9, len(best))
    assert all(any(name in line for name in best["architecture"]) for line in lines[1:])


def test_long_texts_are_cut_in_the_middle() -> None:
    front = line_front(1).assign(architecture="a" + 500 * "x" + "z")
    _, row = front_table(front, TWO)
    assert len(row) < 240
    assert row.endswith("z")


def test_devices_and_objectives_have_columns_and_regrets_a_table() -> None:
    report = made_up_report(SPACE, devices=["a phone"], further=["weight_mib"])
    title = front_table(report.front.networks, [*TWO, "weight_mib", "latency_on_a phone_ms"])[0]
    assert "predicted latency on a phone, ms" in title
    assert "weights, MiB" in title
    assert report.regrets is not None
    summary = {"regrets": report.regrets.reset_index().to_dict(orient="records")}
    lines = regret_table(summary)
    assert [line.split("  ")[-1] for line in lines[2:-1]] == [
        "networks that were chosen for",
        "a phone, used on local",
        "local, used on a phone",
    ]
    assert regret_table({}) == []
