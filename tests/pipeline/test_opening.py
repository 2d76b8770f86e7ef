"""Recipes opened from Python: what a command does is a call."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_code import Perceptrons

import tailorbird as package
from tailorbird.errors import BusyError, MissingStepError, RecipeError, TailorbirdError
from tailorbird.pipeline.opening import open_recipe
from tailorbird.progress import NoProgress

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "called"
[space]
module = "own_code:Perceptrons"
[device]
name = "a board"
[latency]
runtime = "imported"
[accuracy]
table = "t.csv"
predictor = "ridge"
[search]
algorithm = "exact"
"""
SPACE = Perceptrons()


@pytest.fixture
def recipe(tailorbird: Tailorbird, tmp_path: Path) -> Path:
    """Of a search that asks for nothing but two tables."""
    X = np.concatenate(list(SPACE.enumerate()))
    lines = [f"{SPACE.describe(row)},{y:.3f}" for row, y in zip(X, X.sum(axis=1) / 9, strict=True)]
    Path("t.csv").write_text("\n".join(["architecture,accuracy", *lines]))
    lines = [f'"{workload.key}",{1 + i}' for i, workload in enumerate(SPACE.workloads)]
    Path("ms.csv").write_text("\n".join(["key,ms", *lines]))
    Path("called.toml").write_text(RECIPE)
    assert tailorbird("table", "import", "called.toml", "ms.csv")[0] == 0
    return Path("called.toml")


def test_a_path_a_text_and_tables_give_one_front(recipe: Path) -> None:
    fronts = []
    for source in (recipe, str(recipe), tomllib.loads(RECIPE)):
        run = package.open_recipe(source, NoProgress())
        found = run.search()
        fronts.append(found.front)
        assert repr(run).startswith("Run('called', Perceptrons(batch=1), 'runs")
        assert "\n" not in repr(run)
    for front in fronts[1:]:
        np.testing.assert_array_equal(front.X, fronts[0].X)
        np.testing.assert_array_equal(front.F, fronts[0].F)


def test_a_step_holds_the_folder_and_frees_it(recipe: Path) -> None:
    run, other = (open_recipe(recipe, NoProgress()) for _ in range(2))
    with run.held() as held:
        assert held is run
        with pytest.raises(BusyError, match="Another process is working in 'runs/called'"):
            other.search()
        with run.held():
            run.search()
        with pytest.raises(BusyError):  # one inside is not the last one
            other.profile()
        with pytest.raises(RecipeError, match="nothing is trained"):
            run.train()
        with pytest.raises(BusyError):  # nor one that failed
            other.search()
    other.search()
    with pytest.raises(RecipeError, match="nothing is trained"):
        run.train()
    other.search()
    run.search()


@pytest.mark.long
def test_another_process_is_kept_out_meanwhile(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    command = [sys.executable, "-m", "tailorbird", "search", str(recipe)]
    with open_recipe(recipe, NoProgress()).held():
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "Another process is working in" in refused.stderr


def test_errors_name_the_recipe_that_was_read(recipe: Path) -> None:
    for source, name in ((recipe, "called.toml"), (tomllib.loads(RECIPE), "RECIPE")):
        with pytest.raises(MissingStepError) as caught:
            open_recipe(source, NoProgress()).export()
        assert f" {name}`" in str(caught.value)


ITSELF: dict[str, Any] = {"name": "a"}
ITSELF["space"] = ITSELF


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, r"Recipe '<dict>': the (key 'name'|table \[space\]) is missing"),
        ({"name": "a"}, r"the table \[space\] is missing"),
        ({"name": "a", "space": None}, "consist of what TOML can hold"),
        ({"name": 3, "space": {"name": "digits-resnet"}}, "name"),
        ({"name": "a", "space": "digits-resnet"}, "space"),
        ({"name": "a", "space": {"name": "digits-resnet", "n": {1, 2}}}, "what TOML can hold"),
        ({"name": "a", "space": {"name": np.int64(3)}}, "what TOML can hold"),
        ({"name": "a", "space": {"name": Path("x")}}, "what TOML can hold"),
        ({3: "a"}, "what TOML can hold"),
        ({"name": "a", "spaces": {}}, "there is no key 'spaces'|space"),
        (ITSELF, "what TOML can hold"),
        ([], "what TOML can hold"),
        (None, "what TOML can hold"),
        ("nowhere.toml", "No such file"),
        ("", "."),
        ('name = "a"\n', "No such file"),
        ("nul\0", "."),
    ],
)
def test_what_is_no_recipe_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TailorbirdError, match=message) as caught:
        open_recipe(source)
    assert len(str(caught.value).splitlines()) == 1
