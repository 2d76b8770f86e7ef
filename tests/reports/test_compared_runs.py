"""Fronts of several runs side by side."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tailorbird.errors import MissingStepError, RecipeError
from tailorbird.reports.compared_runs import ComparedRuns
from tailorbird.reports.page import compared_runs

FRONT = {
    "architecture": ["a", "b", "c"],
    "accuracy_test": [0.8, 0.9, 0.95],
    "accuracy_test_std": [0.01, 0.01, 0.01],
    "latency_ms_measured": [1.0, 2.0, np.nan],
    "latency_ms_predicted": [9.0, 9.0, 4.0],
}
DATA, DEVICE = "digits@1/test/accuracy", 'a phone: {"batch": 4}'


def written(folder: Path, **changed: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    summary = {
        "accuracies_of": changed.pop("accuracies_of", f"{DATA}/space@weights"),
        "latencies_of": changed.pop("latencies_of", DEVICE),
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    pd.DataFrame(FRONT | changed).to_parquet(folder / "front.parquet")
    return folder


def figure(compared: ComparedRuns, run: str, column: str) -> float:
    rows = compared.hypervolumes
    return float(rows[column].to_numpy(dtype=np.float64)[[*rows.index].index(run)])


def beats(compared: ComparedRuns, by: str, of: str) -> float:
    shares = compared.dominated
    return float(shares[of].to_numpy(dtype=np.float64)[[*shares.index].index(by)])


def test_equal_fronts_beat_nothing_and_have_the_same_hypervolume(tmp_path: Path) -> None:
    compared = ComparedRuns.read([written(tmp_path / "x"), written(tmp_path / "y")])
    alone = ComparedRuns.read([written(tmp_path / "x"), written(tmp_path / "x")])
    assert [run.name for run in alone.runs] == ["x", "x 2"]
    volume = figure(compared, "x", "hypervolume")
    assert volume == figure(compared, "y", "hypervolume")
    assert figure(compared, "x", "probability_largest") == pytest.approx(0.5, abs=0.1)
    # The best of several tests is the luckiest.
    assert figure(compared, "x", "low") < figure(compared, "x", "without_luck") < volume
    assert compared.remarks == ()


def test_a_better_front_beats_the_other_and_is_surely_larger(tmp_path: Path) -> None:
    better = written(tmp_path / "better", accuracy_test=[0.9, 0.97, 0.99])
    compared = ComparedRuns.read([written(tmp_path / "worse"), better])
    assert beats(compared, "better", "worse") == 1.0
    assert beats(compared, "worse", "better") == 0.0
    volumes = [figure(compared, name, "hypervolume") for name in ("better", "worse")]
    assert volumes[0] > volumes[1]
    assert figure(compared, "better", "probability_largest") > 0.99
    (fast, slow), accuracy = compared.box
    assert fast == 1.0
    assert accuracy == pytest.approx((0.78, 1.01))
    assert slow > 4.0  # predicted, as that network was not timed


def test_hypervolumes_are_those_of_the_box(tmp_path: Path) -> None:
    one = written(tmp_path / "one", accuracy_test_std=[0.0] * 3)
    low = written(
        tmp_path / "two",
        accuracy_test=[0.75] * 3,
        accuracy_test_std=[0.0] * 3,
        latency_ms_measured=[10.0] * 3,
    )
    compared = ComparedRuns.read([one, low])
    width, height = 1.05 * 10 - 1, 0.95 - 0.75
    steps = ((1.0, 0.8), (2.0, 0.9), (4.0, 0.95))
    area, before = 0.0, 0.75
    for ms, accuracy in steps:
        area += (10.5 - ms) * (accuracy - before)
        before = accuracy
    for column in ("hypervolume", "without_luck", "low", "high"):
        assert figure(compared, "one", column) == pytest.approx(area / (width * height))


@pytest.mark.parametrize("n", [1, 30])
def test_shares_of_the_box_stay_inside_it(tmp_path: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    folders = [
        written(
            tmp_path / name,
            architecture=[*map(str, range(n))],
            accuracy_test=rng.uniform(0.9, 0.91, n),
            accuracy_test_std=np.full(n, 0.015),
            latency_ms_measured=rng.uniform(1, 1.1, n),
            latency_ms_predicted=np.ones(n),
        )
        for name in ("one", "two")
    ]
    rows = ComparedRuns.read(folders).hypervolumes
    for column in ("hypervolume", "without_luck", "low", "high", "probability_largest"):
        assert rows[column].between(0, 1).all()
    assert (rows["low"] <= rows["without_luck"]).all()
    assert (rows["without_luck"] <= rows["high"]).all()


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [written(tmp_path / name) for name in ("x", "b/x", "x 2", "c/x")]
    names = [run.name for run in ComparedRuns.read(folders).runs]
    assert names == ["x", "x 2", "x 2 2", "x 3"]


def test_networks_whose_figures_are_not_finite_are_left_out(tmp_path: Path) -> None:
    one = written(tmp_path / "one", accuracy_test=[0.8, np.inf, 0.95])
    two = written(tmp_path / "two", latency_ms_predicted=[9.0, 9.0, np.nan])
    rows = ComparedRuns.read([one, two]).hypervolumes
    assert [*rows["n_networks"]] == [2, 2]
    assert (rows["hypervolume"] > 0).all()


@pytest.mark.parametrize("column", [*FRONT])
def test_a_front_without_a_column_is_refused(tmp_path: Path, column: str) -> None:
    one, two = written(tmp_path / "one"), written(tmp_path / "two")
    pd.DataFrame(FRONT).drop(columns=column).to_parquet(two / "front.parquet")
    with pytest.raises(MissingStepError, match="no report of a run"):
        ComparedRuns.read([one, two])


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    one = written(tmp_path / "one")
    with pytest.raises(RecipeError, match="Two runs or more"):
        ComparedRuns.read([one])
    with pytest.raises(MissingStepError, match=r"no report of a run in .*nothing"):
        ComparedRuns.read([one, tmp_path / "nothing"])
    other = written(tmp_path / "other", accuracies_of="cifar@2/test/accuracy/space@weights")
    with pytest.raises(RecipeError, match=r"of the same images and score, .* 'cifar@2/test"):
        ComparedRuns.read([one, other])
    other = written(tmp_path / "other", accuracies_of="tables/cifar.csv")
    table = written(tmp_path / "table", accuracies_of="tables/imagenet.csv")
    with pytest.raises(RecipeError, match=r"cifar.csv.*imagenet.csv|imagenet.csv.*cifar.csv"):
        ComparedRuns.read([other, table])
    other = written(tmp_path / "other", latencies_of='lab: phone: {"batch": 1}')
    with pytest.raises(RecipeError, match=r"of the same batch, .* of 4 images, .* of 1"):
        ComparedRuns.read([one, other])
    other = written(tmp_path / "other", accuracy_test=[np.nan] * 3)
    with pytest.raises(MissingStepError, match="has a tested accuracy"):
        ComparedRuns.read([one, other])
    (tmp_path / "other" / "front.parquet").write_bytes(b"torn")
    with pytest.raises(MissingStepError, match="no report of a run"):
        ComparedRuns.read([one, tmp_path / "other"])


def test_the_page_and_the_terminal_say_the_same_and_names_stay_text(
    command_line: Callable[..., tuple[int, str, str]],
) -> None:
    written(Path("a/<b>x"))
    written(Path("b/<b>x"), latencies_of='a watch: {"batch": 4}')
    folders = ("a/<b>x", "b/<b>x")
    code, out, err = command_line("compare", *folders)
    assert code == 0, err
    assert "different devices or configurations" in out
    assert "<b>x 2" in out
    page = Path("compared.html").read_text()
    assert "<b>x" not in page
    assert "&lt;b&gt;x 2" in page
    code, out, err = command_line("compare", *folders, "--to", "it/c.html", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert {row["n_networks"] for row in told["runs"]} == {3}
    assert Path(told["page"]).exists()
    assert compared_runs.lines(ComparedRuns.read([*map(Path, folders)]))
    Path("mine.html").write_text("mine")
    code, _, err = command_line("compare", *folders, "--to", "mine.html")
    assert code == 2
    assert "is no page of compared runs" in err
    assert Path("mine.html").read_text() == "mine"
    assert command_line("compare", *folders)[0] == 0  # over an older page
    code, _, err = command_line("compare", "a/<b>x")
    assert code == 2
    assert "Two runs or more" in err
