"""Checking and reporting with an untrained family and a runtime whose latencies are known."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import nn

from tailorbird.latency_tables import Profiler, Program, Store
from tailorbird.pipeline.checking import Checker
from tailorbird.predictors import AccuracyPredictor, Predictor, TableSum
from tailorbird.progress import NoProgress, Progress
from tailorbird.reports import Checked, Report, summarise, write
from tailorbird.reports.checked import COLUMNS
from tailorbird.reports.measures import Measure, accuracy_of, latency_of, non_dominated
from tailorbird.reports.plots.curves import hypervolume_plot
from tailorbird.reports.summary import notes
from tailorbird.reports.write import FILES
from tailorbird.search import Objective, ParetoFront, Problem, exact_front
from tailorbird.search.result import SearchResult
from tailorbird.spaces import CALL, FloatArray, IntArray, SearchSpace
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.storage.marks import MARK, torn
from tailorbird.training import Dataset, Trained
from tailorbird.training.data import digits
from tailorbird.training.shared.network import SharedNetwork


@pytest.fixture
def space(digits_space: StitchSpace) -> StitchSpace:
    return digits_space.with_at_most(1)


@dataclass(frozen=True)
class Untrained:
    """Accuracies of networks with fresh weights, each evaluated when it is asked for."""

    trained: Trained
    dataset: Dataset

    def n_test(self) -> int:
        return 597

    def fingerprint(self) -> str:
        return self.trained.fingerprint

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        return self.trained.evaluate(X, self.dataset.validation)

    def test(self, X: IntArray, progress: Progress) -> FloatArray:
        return self.trained.evaluate(X, self.dataset.test)

    def network(self, row: IntArray) -> nn.Module:
        return self.trained.extract(row)


def untrained(space: StitchSpace) -> Untrained:
    dataset = digits.load()
    return Untrained(Trained(space, SharedNetwork(space), dataset.train), dataset)


@pytest.fixture
def checker(space: StitchSpace, profiler: Profiler) -> Checker:
    return Checker(space, untrained(space), profiler)


@pytest.fixture
def objectives(space: StitchSpace, profiler: Profiler) -> tuple[Objective, ...]:
    profiler.profile([Program.of(w) for w in (CALL, *space.workloads)], 2, NoProgress())
    table = profiler.store.table(profiler.configuration, "local", 2)
    X = space.sample(12, np.random.default_rng(0))
    accuracy = AccuracyPredictor(space, n_images=600).fit(X, np.linspace(0.8, 0.9, 12))
    return (
        Objective("accuracy", "", "max", accuracy),
        Objective("latency", "ms", "min", TableSum(space, table)),
    )


@pytest.fixture
def rows(space: StitchSpace) -> IntArray:
    return np.vstack([space.landmarks, space.sample(3, np.random.default_rng(1))])


@pytest.mark.long
def test_a_checked_network_has_both_what_was_predicted_and_what_was_measured(
    checker: Checker, objectives: tuple[Objective, ...], rows: IntArray
) -> None:
    checked = checker.check(rows, *predictors(objectives), NoProgress())
    networks = checked.networks
    names = [variable.name for variable in checker.space.variables]
    assert tuple(networks.columns) == (*COLUMNS, *names)
    np.testing.assert_array_equal(networks[names].to_numpy(), rows)
    np.testing.assert_allclose(
        networks["latency_ms_measured"], 17.0 + np.arange(7)
    )  # the runtime's
    np.testing.assert_allclose(
        networks["latency_ms_predicted"], objectives[1].predictor.predict(rows).mean
    )
    test = checker.accuracies.test(rows, NoProgress())
    np.testing.assert_allclose(networks["accuracy_test"], test)
    assert checked.round_ms.shape == (7, 2)
    assert not checked.failures


@pytest.mark.long
def test_macs_and_parameters_are_those_of_the_papers_formula(
    checker: Checker, objectives: tuple[Objective, ...], rows: IntArray
) -> None:
    networks = checker.check(rows[:4], *predictors(objectives), NoProgress()).networks
    for w, n_macs, n_params in zip(
        (4, 8, 16, 32), networks["n_macs"], networks["n_params"], strict=True
    ):
        # 3x3 convolutions on 64 pixels: one from grey, twelve from w to w; then ten classes.
        assert n_macs == 64 * 9 * w + 12 * 64 * 9 * w * w + 10 * w
        # The same weights, scale and shift after each convolution, and the head.
        assert n_params == 9 * w + 12 * 9 * w * w + 13 * 2 * w + 10 * w + 10


@pytest.mark.long
def test_what_could_not_be_measured_is_missing_and_says_why(
    checker: Checker, runtime: Any, objectives: tuple[Objective, ...], rows: IntArray
) -> None:
    runtime.broken = frozenset({17})  # the second network; 16 workloads came before
    checked = checker.check(rows, *predictors(objectives), NoProgress())
    name = checker.space.describe(rows[1])
    assert checked.failures == {name: "it is broken"}
    assert checked.networks["latency_ms_measured"].isna().tolist() == [False, True] + 5 * [False]
    assert np.isnan(checked.round_ms[1]).all()
    summary = summarise(checked, checked, found_of(checker.space, objectives), {}, n_estimated=3)
    assert summary["n_workloads_estimated"] == 3
    assert summary["n_failed"] == 1
    assert summary["n_timed"] == 6
    for figure in ("kendall_tau", "mape"):
        interval = summary[f"{figure}_interval"]
        assert isinstance(interval, list)
        assert interval[0] <= float(str(summary[figure])) <= interval[1]
    said = list(notes(checked, checked, measures_of(checked), 100.0))
    assert f"{name} could not be measured: it is broken" in said


def predictors(objectives: tuple[Objective, ...]) -> tuple[Predictor, Predictor]:
    accuracy, latency = objectives
    return accuracy.predictor, latency.predictor


def found_of(space: SearchSpace, objectives: tuple[Objective, ...]) -> SearchResult:
    problem = Problem(space, objectives)
    exact = exact_front(problem)
    some = ParetoFront.of(space.sample(5, np.random.default_rng(0)), problem)
    return SearchResult(replace(some, history=(0.1, 0.2)), exact, problem.reference_point(0))


@pytest.mark.long
def test_all_files_are_written_whole_with_missing_values_as_such(
    checker: Checker,
    runtime: Any,
    objectives: tuple[Objective, ...],
    rows: IntArray,
    tmp_path: Path,
) -> None:
    runtime.broken = frozenset({17})
    front = checker.check(rows, *predictors(objectives), NoProgress())
    found = found_of(checker.space, objectives)
    summary = summarise(front, front, found, {"profile": 1.23})
    report = Report(
        title="a <b> title",
        subtitle="",
        front=front,
        random=front,
        found=found,
        call_ms=1.0,
        accuracy="Accuracy on test images",
        n_validation=600,
        summary=summary,
        provenance={"cpu": "a processor"},
        recipe="name = 'x'",
    )
    folder = tmp_path / "made"
    write(report, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    made = [folder / name for name in FILES]
    assert torn(made) is None
    files = {path: path.read_bytes() for path in made}
    write(replace(report, recipe=(folder / "recipe.toml").read_text()), folder)
    assert (folder / "recipe.toml").read_text().count(MARK) == 1
    for path in made:  # the mark of each is that of its run
        write(replace(report, recipe="name = 'y'"), folder)
        path.write_bytes(files[path])
        assert torn(made) is not None
    write(report, folder)
    assert torn(made) is None
    assert json.loads((folder / "front.json").read_text())[1]["latency_ms_measured"] is None
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "front.parquet"), front.networks)
    written = json.loads((folder / "summary.json").read_text())
    assert {key: value for key, value in written.items() if key != MARK} == summary
    html = (folder / "report.html").read_text()
    assert "a &lt;b&gt; title" in html
    assert "it is broken" in html
    assert "fraction of networks" in html
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")


def frame(rows: list[tuple[float, float]], kinds: str) -> pd.DataFrame:
    named = {"a": "anchor", "s": "stitched", "c": "cell"}
    return pd.DataFrame(
        {
            "latency_ms_measured": [ms for ms, _ in rows],
            "latency_ms_predicted": 1.0,
            "accuracy_test": [accuracy for _, accuracy in rows],
            "kind": [named[kind] for kind in kinds],
            "latency_ms_extrapolated": False,
        }
    )


def test_non_dominated_is_by_what_was_measured() -> None:
    rows = [(1.0, 0.9), (2.0, 0.9), (2.0, 0.95), (np.nan, 0.99), (3.0, 0.94), (2.0, 0.95)]
    networks = frame(rows, "asasas")
    measures = accuracy_of(networks), latency_of(networks)
    best = non_dominated(networks, measures)
    assert best.tolist() == [True, False, True, False, False, True]


def measures_of(checked: Checked) -> tuple[Measure, Measure]:
    return accuracy_of(checked.networks), latency_of(checked.networks)


def said_of(front: Checked, random: Checked, call_ratio: float) -> list[str]:
    return list(notes(front, random, measures_of(front), call_ratio))


def checked(rows: list[tuple[float, float]], kinds: str, rounds: list[list[float]]) -> Checked:
    names = [f"network {i}" for i in range(len(rows))]
    return Checked(frame(rows, kinds).assign(architecture=names), np.array(rounds), {})


def test_a_report_says_what_a_reader_must_not_miss() -> None:
    quiet = [[1.0, 1.02], [2.0, 2.05]]
    good = checked([(1.0, 0.9), (2.0, 0.95)], "as", quiet)
    assert not said_of(good, good, 100.0)
    assert any("raise [device] batch" in note for note in said_of(good, good, 3.0))
    beaten = checked([(1.0, 0.9), (2.0, 0.8)], "as", quiet)
    assert any("No stitched network" in note for note in said_of(beaten, good, 100.0))
    of_cells = checked([(1.0, 0.9), (2.0, 0.8)], "cc", quiet)
    assert not said_of(of_cells, of_cells, 100.0)
    beyond = checked([(1.0, 0.9), (2.0, 0.95)], "as", quiet)
    beyond.networks["latency_ms_extrapolated"] = [True, False]
    assert [
        "of 1 networks are extrapolated, with stds to match (first: network 0)" in note
        for note in said_of(beyond, good, 100.0)
    ] == [True]
    untimed = checked([(np.nan, 0.8), (np.nan, 0.9)], "as", [[np.nan] * 2] * 2)
    assert not any("No stitched network" in note for note in said_of(untimed, good, 100.0))
    noisy = checked([(1.0, 0.9), (2.0, 0.95)], "as", [[1.0, 1.02], [2.0, 3.1]])
    assert [
        "network 1 took 2 ms in one round and 3.1 ms" in n for n in said_of(noisy, good, 9e9)
    ] == [True]


def test_shares_and_hypervolumes_are_of_the_same_point(
    space: StitchSpace, objectives: tuple[Objective, ...], store: Store
) -> None:
    found = found_of(space, objectives)
    assert found.exact is not None
    assert found.share_of_exact_hypervolume is not None
    assert 0 < found.share_of_exact_hypervolume <= 1
    whole = replace(found, front=found.exact)
    assert whole.share_of_exact_hypervolume == pytest.approx(1)
    assert "exact front is not known" in str(replace(found, exact=None))


@pytest.mark.parametrize(
    ("algorithm", "step"), [("nsga2", "generation"), ("random", "evaluation"), ("own:way", "step")]
)
def test_the_history_of_a_search_bears_the_name_of_its_algorithm(
    space: StitchSpace, objectives: tuple[Objective, ...], algorithm: str, step: str
) -> None:
    found = replace(found_of(space, objectives), by=algorithm, step=step)
    plot = hypervolume_plot(found)
    assert [line.name for line in plot.lines] == [algorithm, "exact front"]
    assert plot.lines[0].x[-1] == found.front.n_evaluations


def test_figures_that_cannot_be_had_are_null(
    checker: Checker, objectives: tuple[Objective, ...], rows: IntArray
) -> None:
    one = checker.check(rows[:1], *predictors(objectives), NoProgress())
    summary = summarise(one, one, found_of(checker.space, objectives), {})
    for figure in ("kendall_tau", "kendall_tau_interval", "mape_interval", "kendall_tau_accuracy"):
        assert summary[figure] is None
    json.dumps(summary, allow_nan=False)


@pytest.mark.long
def test_other_weights_are_compared_with_torch_again(
    space: StitchSpace,
    checker: Checker,
    runtime: Any,
    objectives: tuple[Objective, ...],
    rows: IntArray,
) -> None:
    checker.check(rows[:2], *predictors(objectives), NoProgress())
    n_measured = runtime.n_measured
    checker.check(rows[:2], *predictors(objectives), NoProgress())
    assert runtime.n_measured == n_measured
    replace(checker, accuracies=untrained(space)).check(
        rows[:2], *predictors(objectives), NoProgress()
    )
    assert runtime.n_measured == n_measured + 4
