"""What users copy: the blocks of the README, and the notebook."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot
from safetensors.torch import save_file

import tailorbird
from tailorbird import recipe
from tailorbird.training import Trained, digits

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "own_network.ipynb"
SECONDS = ("train(", "train_supernet(", "open_recipe(", "nsga2(")
"""Calls in blocks that take seconds, or a minute."""

RUN_ALL = """
import ast, json


def show(cell):
    *statements, last = ast.parse("".join(cell["source"])).body
    if not isinstance(last, ast.Expr):
        statements, last = [*statements, last], ast.Expr(ast.Constant(None))
    exec(compile(ast.Module(statements, []), "cell", "exec"), names)
    shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    print(getattr(shown, "_repr_html_", shown.__repr__)())


names = {}
for cell in json.load(open("own_network.ipynb", encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        show(cell)
digits_net, network = names["digits_net"], names["network"]
assert digits_net.score(network, digits_net.DATA.test) > 0.9
assert names["front"].X.shape[1] == len(names["space"].variables)
"""


def blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, whose modules can be imported, with pictures that nobody sees."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with mpl.rc_context():
        mpl.use("Agg")
        yield tmp_path
        pyplot.close("all")
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(file.stem, None)


def assumed() -> dict[str, Any]:
    """What a block says that it is given: latencies of networks on known devices."""
    rng = np.random.default_rng(0)
    X = rng.integers(3, size=(60, 6))
    cost = 1.0 + X.sum(axis=1)
    pool_ms = np.outer(cost, [1.0, 2.0, 3.0]) * rng.uniform(0.9, 1.1, (60, 3))
    return {
        "encodings": X[:40],
        "pool_ms": pool_ms[:40],
        "candidates": X[40:],
        "y_ms": 5.0 * cost[40:50],
    }


def run_blocks(texts: list[str], folder: Path) -> dict[str, Any]:
    """Runs blocks in one namespace; those that begin with the name of a file are imported."""
    names = assumed()
    for text in texts:
        file = re.match(r"# (\w+\.py)", text)
        if file:
            (folder / file[1]).write_text(text)
            text = f"import {Path(file[1]).stem}"
        exec(text, names)
    return names


def test_blocks_of_the_readme_run_as_they_stand(empty_folder: Path) -> None:
    quick = [text for text in blocks("python") if not any(call in text for call in SECONDS)]
    names = run_blocks(quick, empty_folder)
    assert names["my_net"].space(batch=2).size == 1_521
    assert len(names["ms"]) == 71


@pytest.mark.long
def test_all_blocks_of_the_readme_run_in_order(empty_folder: Path) -> None:
    names = run_blocks(blocks("python"), empty_folder)
    assert (names["run"].folder / "report.html").exists()
    assert names["exported"].onnx.exists()
    assert len(names["front"]) > 10  # of the last search
    assert len(pyplot.get_fignums()) == 2


def test_recipes_of_the_readme_are_right() -> None:
    n_whole = 0
    for text in blocks("toml"):
        tables = tomllib.loads(text)
        n_whole += "name" in tables
        recipe.load({"name": "a", "space": {"name": "digits-resnet"}, **tables})
    assert n_whole > 0


def test_recipes_of_the_examples_are_right() -> None:
    recipes = [recipe.load(file)[0] for file in EXAMPLES.glob("*.toml")]
    assert {"digits", "digits-elastic", "own-supernet"} <= {one.name for one in recipes}


@pytest.mark.long
def test_a_recipe_takes_what_the_loop_of_the_example_trained(empty_folder: Path) -> None:
    for file in EXAMPLES.glob("own*supernet.*"):
        shutil.copy(file, empty_folder)
    own_supernet = importlib.import_module("own_supernet")
    network = own_supernet.train(epochs=3)
    save_file(network.state_dict(), "own_supernet.safetensors")
    asked = tomllib.loads(Path("own-supernet.toml").read_text())
    asked["accuracy"] = {"data": "digits", "trained": "own_supernet.safetensors"}
    trained = tailorbird.open_recipe(asked).train()
    X, data = trained.space.landmarks, digits.load()
    own = Trained(own_supernet.space(batch=50), network, data.train)
    np.testing.assert_array_equal(trained.evaluate(X, data.test), own.evaluate(X, data.test))
    assert not list(Path("runs").rglob("*.safetensors"))


def test_the_notebook_is_one_of_ten_cells_without_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    cells = notebook["cells"]
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len(cells) == len({cell["id"] for cell in cells}) == 10
    for cell in cells:
        code = cell["cell_type"] == "code"
        extra = {"outputs", "execution_count"} if code else set()
        assert cell.keys() == {"cell_type", "id", "metadata", "source"} | extra
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
@pytest.mark.xdist_group("timing")
def test_the_notebook_runs_in_a_folder_with_its_module(tmp_path: Path) -> None:
    for file in (NOTEBOOK, NOTEBOOK.with_name("digits_net.py")):
        shutil.copy(file, tmp_path)
    environment = {**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        cwd=tmp_path, env=environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Nothing is trained for this recipe" in done.stderr
    for shown in ("<p>Elastic(", "Run('own-network'", "probability_on_front"):
        assert shown in done.stdout
    assert (tmp_path / "runs" / "own-network" / "network" / "network.onnx").exists()
