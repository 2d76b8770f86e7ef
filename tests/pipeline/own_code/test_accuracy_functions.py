"""Recipes whose accuracies a function of the user's own gives."""

import json
import linecache
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from own_code import Perceptrons

from tailorbird.errors import RecipeError
from tailorbird.pipeline.accuracy_sources.function import FunctionAccuracy
from tailorbird.pipeline.opening import open_recipe
from tailorbird.pipeline.own_code.accuracy_function import KINDS
from tailorbird.pipeline.python_path import resolve
from tailorbird.progress import NoProgress
from tailorbird.spaces import FloatArray, IntArray

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "odd"
[space]
module = "own_code:Perceptrons"
[latency]
runtime = "own_code:Simulator"
rounds = 2
[accuracy]
evaluations = 12
{accuracy}
[search]
{search}
[report]
networks = 3
random_networks = 3
"""
NSGA2 = "population = 8\ngenerations = 4"
FEW = "Raise an error where a network has no accuracy."
MANY = "In one list or array, give NaN where a network has no accuracy."
X = np.concatenate(list(Perceptrons().enumerate()))


def write(accuracy: str, search: str = NSGA2) -> Path:
    if "predictor" not in accuracy:
        accuracy += '\npredictor = "ridge"'
    path = Path("odd.toml")
    path.write_text(RECIPE.format(accuracy=accuracy, search=search))
    return path


@contextmanager
def opened(accuracy: str) -> Iterator[FunctionAccuracy]:
    with open_recipe(write(accuracy), NoProgress()).held() as run:
        assert isinstance(run.accuracy, FunctionAccuracy)
        yield run.accuracy


def evaluate(key: str, name: str, rows: IntArray = X) -> FloatArray:
    """Calls a function of `own_code` as workers do."""
    function = resolve(f"own_code:{name}", Path(), f"[accuracy] {key}")
    return KINDS[key](Perceptrons(), function, f"own_code:{name}")(rows)


def by_widths() -> FloatArray:
    widths = [sum(map(int, Perceptrons().describe(row).split("-")[1:])) for row in X]
    return np.asarray(1 - 1 / (1 + np.array(widths) / 10))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    return tmp_path


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("function", "by_width"),
        ("function", "as_numpy"),
        ("function", "as_array"),
        ("function", "as_tensor"),
        ("function", "with_gradient"),
        ("function", "moves_and_prints"),
        ("function", "overwrites_row"),
        ("function", "by_object"),
        ("function", "forks"),
        ("batch_function", "all_by_width"),
        ("batch_function", "all_as_tensor"),
        ("batch_function", "clears_list"),
    ],
)
def test_what_is_one_number_is_taken(
    home: Path, key: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = X[:4]
    before = rows.copy()
    np.testing.assert_allclose(evaluate(key, name, rows), by_widths()[:4], rtol=1e-6)
    np.testing.assert_array_equal(rows, before)
    assert Path.cwd() == home
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    "lines",
    [
        'function = "own_code:by_width"',
        'batch_function = "own_code:all_by_width"\nn_images = 400',
        pytest.param(
            'function = "own_code:by_width"\nevaluation_timeout_seconds = 60.0',
            marks=pytest.mark.long,
        ),
        pytest.param('function = "own_code:by_width"\nworkers = 2', marks=pytest.mark.long),
        pytest.param(
            'batch_function = "own_code:all_by_width"\nworkers = 2', marks=pytest.mark.long
        ),
    ],
)
def test_accuracies_of_all_networks_are_those_of_the_function(home: Path, lines: str) -> None:
    with opened(lines) as accuracy:
        accuracy.check(NoProgress())
        y = accuracy.validation(X[::5], NoProgress())
        np.testing.assert_array_equal(y, by_widths()[::5])
        np.testing.assert_array_equal(accuracy.test(X[::5], NoProgress()), y)
        assert accuracy.remarks() == ()
        assert accuracy.n_test() == (400 if "400" in lines else None)


WRONG = {
    ("function", "raises"): r"own_code:raises failed \(LookupError: not there\)\. See line",
    ("function", "exits"): r"own_code:exits failed \(SystemExit: 3\)",
    ("function", "gives_nan"): f"must give accuracies from 0 to 1, but gave nan. .*{FEW}",
    ("function", "per_cents"): r"but gave 97\.0\. Divide per cents by 100\. ",
    ("function", "nothing_at_all"): f"must give one number, but gave None. {FEW}",
    ("function", "a_text"): "must give one number, but gave '0.5'",
    ("function", "all_by_width"): r"own_code:all_by_width failed \(TypeError",
    ("function", "complex_number"): r"must give one number, but gave \(0\.5\+0j\)",
    ("function", "one_in_an_array"): r"must give one number, but gave array\(\[0\.5\]\)",
    ("function", "nobody"): "takes 0 positional arguments",
    ("batch_function", "one_too_many"): f"as there are networks, here 4, but .*{MANY}",
    ("batch_function", "by_width"): r"own_code:by_width failed \(AttributeError",
    ("batch_function", "all_in_columns"): r"here 4, but gave array\(\[\[",
    ("batch_function", "all_none"): r"here 4, but gave \[None",
}


@pytest.mark.parametrize(("key", "name"), WRONG)
def test_what_gives_no_accuracy_is_refused(home: Path, key: str, name: str) -> None:
    with pytest.raises(RecipeError, match=WRONG[key, name]):
        evaluate(key, name, X[:4])


@pytest.mark.parametrize(
    ("key", "name", "reason"),
    [
        ("function", "exits", "own_code:exits failed (SystemExit: 3). See line"),
        ("batch_function", "one_too_many", "here 1, but gave [0.5, 0.5]. In one list"),
    ],
)
def test_it_is_refused_before_anything_is_measured(
    tailorbird: Tailorbird, key: str, name: str, reason: str
) -> None:
    write(f'{key} = "own_code:{name}"')
    code, out, err = tailorbird("run", "odd.toml")
    assert (code, out) == (2, "")
    last = err.splitlines()[-1]
    law = f"[accuracy] {key} must give accuracies, but gave none for the 2 networks that it was"
    assert law in last
    assert reason in last
    assert last.endswith(").")
    assert not any(mark in last for mark in ("..", ".)"))
    assert json.loads(tailorbird("table", "show", "odd.toml", "--json")[1])["rows"] == []


@pytest.mark.long
def test_what_takes_for_ever_is_ended(tailorbird: Tailorbird) -> None:
    write('function = "own_code:takes_for_ever"\nevaluation_timeout_seconds = 0.5')
    code, _, err = tailorbird("run", "odd.toml")
    assert code == 2
    assert "tried on (first: 6-4: no value within 0.5 s)." in err


def test_a_function_is_given_the_network(home: Path) -> None:
    n_params = [sum(p.numel() for p in Perceptrons().build(row).parameters()) for row in X[-5:]]
    y = evaluate("function", "counts_parameters", X[-5:])
    np.testing.assert_allclose(y, np.array(n_params) / 1e4)


KEYS = {
    'function = "own_code:by_width"\ntrain_epochs = 1': "function nothing is trained: drop train",
    'function = "own_code:by_width"\ndata = "digits"': "one of data and function, not both",
    'function = "own_code:by_width"\nbatch_function = "own_code:all_by_width"': (
        "one of function and batch_function, not both"
    ),
    'function = "own_code:by_width"\ntable = "t.csv"\ndata = "digits"': "not all",
    'batch_function = "own_code:by_width"\nzero_cost = ["naswot"]': "drop zero_cost",
    'function = "own_code:by_width"\nn_images = 0': "n_images",
    'function = "own_code.by_width"': "function",
    'function = "own_code:no_such_name"': r"\[accuracy\] function = .* names nothing that can be",
    'function = "own_code:NOT_CALLABLE"': r"\[accuracy\] function = .* must name what can",
    "n_images = 10": "images of a data set are counted: drop n_images",
}


@pytest.mark.parametrize("lines", KEYS)
def test_keys_that_do_not_go_together_are_refused(home: Path, lines: str) -> None:
    with pytest.raises(RecipeError, match=KEYS[lines]):
        open_recipe(write(lines))


def test_networks_that_fail_are_left_out_and_told_once(home: Path) -> None:
    with opened('function = "own_code:fails_when_wide"') as accuracy:
        accuracy.check(NoProgress())
        for _ in range(2):
            y = accuracy.validation(X[::5], NoProgress())
        is_wide = X[::5, 1] == 2
        np.testing.assert_array_equal(np.isnan(y), is_wide)
        first = "own_code:fails_when_wide failed (ValueError: too wide). See line"
        (remark,) = accuracy.remarks()
        n = f"{is_wide.sum()} networks could not be evaluated on validation images"
        assert remark.startswith(f"{n} (first: 6-16")
        assert first in remark
        assert not remark.endswith(".).")
    (line,) = Path("runs/odd/run.log").read_text().splitlines()
    assert f"{is_wide.sum()} of {len(X[::5])} networks could not be evaluated (first: " in line
    assert first in line


@pytest.mark.long
def test_a_run_goes_on_without_networks_that_fail(tailorbird: Tailorbird) -> None:
    write('function = "own_code:fails_when_wide"')
    code, _, err = tailorbird("run", "odd.toml")
    assert code == 0, err
    report = Path("runs/odd/report.html").read_text()
    assert "networks could not be evaluated on validation images" in report
    log = Path("runs/odd/run.log").read_text()
    assert log.count("of 12 networks could not be evaluated") == 1
    front = pd.read_parquet("runs/odd/front.parquet")
    assert np.isfinite(front["accuracy_test"]).any()


@pytest.mark.long
def test_there_is_nothing_to_train_but_networks_to_export(tailorbird: Tailorbird) -> None:
    write('function = "own_code:by_width"\nn_images = 1000')
    code, _, err = tailorbird("train", "odd.toml")
    assert code == 2
    assert "those of own_code:by_width: nothing is trained here." in err
    assert "tailorbird run odd.toml" in err
    code, _, err = tailorbird("export", "odd.toml", "--architecture", "6-8-4")
    assert code == 0, err
    assert Path("runs/odd/network/network.onnx").exists()


def test_another_text_is_another_study(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: set[str] = set()
    for text in ("return 0.5", "return 0.6", "# a comment\n    return 0.5"):
        Path("changing.py").write_text(f"def accuracy(architecture):\n    {text}\n")
        monkeypatch.delitem(sys.modules, "changing", raising=False)
        os.utime("changing.py", (len(names), len(names)))
        linecache.clearcache()
        with opened('function = "changing:accuracy"') as accuracy:
            names.add(accuracy.study_name("validation"))
    monkeypatch.delitem(sys.modules, "changing", raising=False)
    assert len(names) == 2
    law = r"changing:accuracy@[0-9a-f]{8}/perceptrons@[0-9a-f]{8}"
    assert all(re.fullmatch(law, name) for name in names)


def test_another_text_of_the_space_or_another_setting_is_another_study(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: set[str] = set()
    for n, (text, rest) in enumerate((("1", ""), ("2", ""), ("1", "width = 3"))):
        Path("changing.py").write_text(
            "from own_code import BarePerceptrons\n"
            f"class Own(BarePerceptrons):\n    def build(self, row): return {text}\n"
            "def space(batch, width=2):\n    return Own(batch)\n"
        )
        monkeypatch.delitem(sys.modules, "changing", raising=False)
        os.utime("changing.py", (n, n))
        linecache.clearcache()
        path = write('function = "own_code:by_width"')
        bare = 'predictor = "inferred-sum"\nsamples = 10'
        text = path.read_text().replace("own_code:Perceptrons", "changing:space")
        text = text.replace("[latency]", f"{rest}\n[latency]\n{bare}")
        path.write_text(text)
        source = open_recipe(path, NoProgress()).accuracy
        assert isinstance(source, FunctionAccuracy)
        names.add(source.study_name("validation"))
    monkeypatch.delitem(sys.modules, "changing", raising=False)
    assert len(names) == 3


def test_a_worker_refuses_a_text_that_has_changed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def accuracy(architecture):\n    return 0.5\n"
    Path("changing.py").write_text(text)
    monkeypatch.delitem(sys.modules, "changing", raising=False)
    with opened('function = "changing:accuracy"') as accuracy:
        sent = pickle.dumps(accuracy._sent("validation"))
        pickle.loads(sent)()
        Path("changing.py").write_text(text.replace("0.5", "0.56"))
        del sys.modules["changing"]  # as in a process that imports it anew
        with pytest.raises(RecipeError, match=r"\[accuracy\] function must stay .* Run again\."):
            pickle.loads(sent)()
    monkeypatch.delitem(sys.modules, "changing", raising=False)


def test_earlier_evaluations_are_taken(home: Path) -> None:
    rows = X[[0, *range(2, 38, 6), 38]]
    y = np.linspace(0.1, 0.9, len(rows))
    texts = [Perceptrons().describe(row) for row in rows]
    pd.DataFrame({"architecture": texts, "accuracy": y}).to_csv("earlier.csv", index=False)
    with opened('function = "own_code:raises"\nearlier = "earlier.csv"') as accuracy:
        accuracy.check(NoProgress())  # what is known is not tried
        np.testing.assert_array_equal(accuracy.validation(rows, NoProgress()), y)


@pytest.mark.long
@pytest.mark.parametrize(
    ("key", "search"),
    [
        ("batch_function", NSGA2),
        ("function", 'algorithm = "exact"'),
        ("function", 'algorithm = "guided"\nbatch = 4'),
        ("batch_function", 'algorithm = "random"\npopulation = 8\ngenerations = 4'),
    ],
)
def test_all_algorithms_search(tailorbird: Tailorbird, search: str, key: str) -> None:
    name = {"function": "by_width", "batch_function": "all_by_width"}[key]
    write(f'{key} = "own_code:{name}"\nn_images = 500', search)
    code, _, err = tailorbird("run", "odd.toml")
    assert code == 0, err
    front = pd.read_parquet("runs/odd/front.parquet")
    assert np.isfinite(front["accuracy_test"]).all()
    assert "the search saw the same figures" in Path("runs/odd/report.html").read_text()


COUNTING = """
import time
from own_code import by_width

def accuracy(architecture):
    with open("calls.txt", "a") as calls:
        calls.write(architecture.text + chr(10))
    time.sleep({seconds})
    return by_width(architecture)
"""


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_and_evaluates_nothing_twice(
    home: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    command = [sys.executable, "-m", "tailorbird", "search", "odd.toml", "--json"]
    fronts = []
    profiled = home / "profiled"
    profiled.mkdir()
    monkeypatch.chdir(profiled)
    Path("counting.py").write_text(COUNTING.format(seconds=0))
    write(
        f'function = "counting:accuracy"\nworkers = {workers}',
        'algorithm = "guided"\nbatch = 4',
    )
    subprocess.run([*command[:3], "profile", "odd.toml"], check=True, capture_output=True)
    for is_killed in (True, False):
        folder = home / f"killed-{is_killed}"
        shutil.copytree(profiled, folder)
        monkeypatch.chdir(folder)
        seconds = 0.2 if is_killed else 0
        Path("counting.py").write_text(COUNTING.format(seconds=seconds))
        if is_killed:
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            calls = Path("calls.txt")
            while not calls.exists() or len(calls.read_text().splitlines()) < 5:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        n_calls = Counter(Path("calls.txt").read_text().splitlines())
        assert sum(n - 1 for n in n_calls.values()) <= workers * is_killed  # those in hand
        fronts.append(done.stdout)
    assert fronts[0] == fronts[1]
