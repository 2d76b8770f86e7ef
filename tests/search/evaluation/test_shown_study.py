"""Studies that dashboards show: what they hold, how they are made anew, and how they look."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import optuna
import pytest

from tailorbird import spaces
from tailorbird.errors import StoreError
from tailorbird.predictors import mega_macs
from tailorbird.progress import NoProgress
from tailorbird.search import Objective
from tailorbird.search.evaluation import prior_evaluations
from tailorbird.search.evaluation.executors import InProcess
from tailorbird.search.evaluation.optuna_storage import existing, made_alone
from tailorbird.search.evaluation.shown_study import Costs
from tailorbird.search.evaluation.study import Study
from tailorbird.spaces import FloatArray, IntArray

SPACE = spaces.get("digits-resnet", batch=1)
X = np.vstack(list(SPACE.enumerate()))[:30]
MACS = mega_macs(SPACE)
COSTS = Costs("a phone", (Objective("latency", "ms", "min", MACS),), {"mega_macs": MACS})
CHROMIUM = shutil.which("chromium")


def value(rows: IntArray) -> FloatArray:
    return np.asarray((rows @ np.arange(1, rows.shape[1] + 1)) / 1e4)


def evaluated(url: str, rows: IntArray, costs: Costs = COSTS, name: str = "a") -> Study:
    study = Study(url, name, SPACE, owner="me")
    study.show("shown", costs)
    study.evaluate(rows, InProcess(value), NoProgress())
    return study


def shown(url: str) -> optuna.Study:
    return optuna.load_study(storage=existing(url), study_name="shown")


def test_genes_are_parameters_and_all_objectives_values(url: str) -> None:
    evaluated(url, X[:10])
    evaluated(url, X[5:15])  # in another process, which knows five of them
    study = shown(url)
    assert study.directions == [
        optuna.study.StudyDirection.MAXIMIZE,
        optuna.study.StudyDirection.MINIMIZE,
    ]
    assert study.metric_names == ["accuracy", "latency_ms"]
    rows = np.array([trial.user_attrs["encoding"] for trial in study.trials])
    assert sorted(map(tuple, rows)) == sorted(map(tuple, X[:15]))
    for row, trial in zip(rows, study.trials, strict=True):
        (mega_macs_,) = MACS.mean(row[None])
        assert trial.values == [*value(row[None]), mega_macs_]
        genes = zip(SPACE.variables, row, strict=True)
        assert trial.params == {gene.name: gene.choices[i] for gene, i in genes}
        assert trial.user_attrs["architecture"] == SPACE.describe(row)
        assert trial.user_attrs["mega_macs"] == mega_macs_
    macs = np.array([trial.values[1] for trial in study.trials])
    accuracies = value(rows)
    beaten = [((accuracies > a) & (macs <= m)).any() for a, m in zip(accuracies, macs, strict=True)]
    assert not np.array(beaten)[[trial.number for trial in study.best_trials]].any()


def test_a_row_is_shown_as_soon_as_it_is_evaluated(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tailorbird.search.evaluation.study._SHOWN_EVERY_S", 0.0)
    seen: list[int] = []

    def looking(rows: IntArray) -> FloatArray:
        seen.append(len(shown(url).trials))
        return value(rows)

    study = Study(url, "a", SPACE)
    study.show("shown", COSTS)
    study.evaluate(X[:4], InProcess(looking, 1), NoProgress())
    assert seen == [0, 1, 2, 3]
    assert len(shown(url).trials) == 4


def test_what_failed_is_not_shown(url: str) -> None:
    def failing(rows: IntArray) -> FloatArray:
        return np.where(rows[:, 0] == X[0, 0], np.nan, value(rows))

    study = Study(url, "a", SPACE)
    study.show("shown", COSTS)
    rows = np.vstack([X[:2], X[-2:]])
    y = study.evaluate(rows, InProcess(failing), NoProgress())
    assert len(shown(url).trials) == np.isfinite(y).sum()


@pytest.mark.parametrize(
    "changed", ["other latencies", "other weights", "a further objective", "a trial of people"]
)
def test_a_study_that_tells_something_else_is_made_anew(url: str, changed: str) -> None:
    evaluated(url, X[:10])
    costs, name = COSTS, "a"
    if changed == "other latencies":
        slower = Objective("latency", "ms", "min", mega_macs(spaces.get("digits-resnet", batch=3)))
        costs = Costs("a phone", (slower,), COSTS.facts)
    elif changed == "other weights":
        name = "b"
    elif changed == "a further objective":
        further = Objective("mega_macs", "", "min", MACS)
        costs = Costs("a phone", (*COSTS.objectives, further), COSTS.facts)
    else:
        with made_alone(url) as storage:
            theirs = optuna.load_study(storage=storage, study_name="shown")
            theirs.add_trial(optuna.trial.create_trial(values=[0.5, 1.0]))
    evaluated(url, X[:3], costs, name)
    study = shown(url)
    assert len(study.trials) == 3
    assert len(study.directions) == 1 + len(costs.objectives)
    assert study.user_attrs["accuracies of"] == name
    expected = costs.objectives[0].predictor.mean(X[:3])
    np.testing.assert_allclose(sorted(t.values[1] for t in study.trials), sorted(expected))


def test_one_that_somebody_deletes_meanwhile_is_shown_no_more(url: str) -> None:
    study = evaluated(url, X[:3])
    with made_alone(url) as storage:
        optuna.delete_study(study_name="shown", storage=storage)
    y = study.evaluate(X[:6], InProcess(value), NoProgress())
    np.testing.assert_array_equal(y, value(X[:6]))
    assert "shown" not in optuna.get_all_study_names(existing(url))
    evaluated(url, X[:3])
    assert len(shown(url).trials) == 3


def test_a_database_that_fails_is_told(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    study = Study(f"sqlite:///{file}", "a", SPACE)
    file.write_bytes(b"torn" * 4096)
    with pytest.raises(StoreError, match="The store sqlite"):
        study.show("shown", COSTS)


def test_what_is_shown_can_be_learned_from(url: str) -> None:
    evaluated(url, X[:10])
    rows, y = prior_evaluations.read_study(url, "shown", SPACE)
    np.testing.assert_array_equal(y, value(rows))
    assert len(rows) == 10


def test_genes_of_very_many_choices_are_numbers(url: str) -> None:
    space = spaces.get("digits-resnet", batch=1, max_stitches=1)
    many = type(space.variables[0])("start", tuple(map(str, range(10_000))))

    class Wide:
        name, variables = space.name, (many,)

        @staticmethod
        def describe(row: IntArray) -> str:
            return f"number {row[0]}"

    costs = Costs("a phone", (), {})
    study = Study(url, "wide", Wide())  # type: ignore[arg-type]  # all that is asked of it
    study.show("shown", costs)
    study.evaluate(np.array([[7], [9_999]]), InProcess(lambda X: X[:, 0] / 1e4), NoProgress())
    assert sorted(trial.params["start"] for trial in shown(url).trials) == [7, 9_999]


@contextmanager
def dashboard(url: str) -> Iterator[str]:
    """Address of Optuna's dashboard on a database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("optuna-dashboard")
    options = ["--host", "127.0.0.1", "--port", str(port), "--server", "wsgiref", "--quiet"]
    server = subprocess.Popen([program, *options, url], stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/dashboard"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(address, timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def opened() -> Iterator[Callable[[str], object]]:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1200})

        def open_(address: str) -> object:
            page.goto(address)
            return page

        yield open_
        browser.close()


@pytest.mark.browser
@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: `apt-get install chromium` has it")
def test_a_dashboard_draws_each_network(tmp_path: Path, opened: Callable[[str], object]) -> None:
    url = f"sqlite:///{tmp_path / 's.sqlite'}"
    evaluated(url, X)
    n_best = len(shown(url).best_trials)
    number = {study.study_name: study._study_id for study in optuna.get_all_study_summaries(url)}
    with dashboard(url) as address:
        page: object = opened(f"{address}/studies/{number['shown']}")
        points = "[...document.querySelectorAll('.js-plotly-plot')].map(p => p.data.map(drawn))"
        drawn = "const drawn = d => d.x ? d.x.length : 0;"
        wait = f"() => {{ {drawn} return {points}.some(plot => plot.some(n => n > 0)) }}"
        page.wait_for_function(wait, timeout=60_000)  # type: ignore[attr-defined]  # of playwright
        page.wait_for_timeout(2_000)  # type: ignore[attr-defined]
        plots = page.evaluate(f"() => {{ {drawn} return {points} }}")  # type: ignore[attr-defined]
        assert sum(plots[0]) == len(X)  # the front, and those behind it
        assert n_best in plots[0]
        text = page.inner_text("body")  # type: ignore[attr-defined]
        assert "Pareto Front" in text
        assert "latency_ms" in text
        page.goto(f"{address}/studies/{number['a']}")  # type: ignore[attr-defined]
        page.wait_for_function(wait, timeout=60_000)  # type: ignore[attr-defined]
