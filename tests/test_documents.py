"""What users copy: the blocks of the README and the documentation, and the notebook."""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import typer
from matplotlib import pyplot
from safetensors.torch import save_file
from sybil import Example
from sybil.document import Document
from sybil.parsers.markdown import CodeBlockParser

import tailorbird
from tailorbird import recipe, spaces
from tailorbird.cli.app import app
from tailorbird.training import Trained, digits

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "own_network.ipynb"
GENERATED = ROOT / "docs" / "recipe.md"
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").glob("*.md")} - {GENERATED})]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
SECONDS = ("train(", "train_supernet(", "open_recipe(", "nsga2(", ".profile(")
"""Calls in blocks that take seconds, or a minute."""

LANGUAGES = {"python", "toml", "bash", "console", "{eval-rst}", "{include}", "{toctree}"}
PROGRAMS = {
    *("cd", "make", "optuna-dashboard", "pip", "python", "srun", "tailorbird", "torchrun"),
}
"""What lines of shell blocks may begin with."""

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


def examples(page: Path, language: str) -> list[Example]:
    """Blocks of a page, in their order, whose evaluation does what a block of this kind is for."""
    evaluators = {"python": run_python, "toml": check_recipe, "bash": check_commands}
    parser = CodeBlockParser(language, evaluators.get(language, lambda example: None))
    return list(Document.parse(str(page), parser).examples())


def blocks(page: Path, language: str) -> list[str]:
    return [str(example.parsed) for example in examples(page, language)]


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
    space = spaces.get("macro-mobilenetv2")
    X = space.sample(60, rng)
    cost = 1.0 + X.sum(axis=1)
    pool_ms = np.outer(cost, [1.0, 2.0, 3.0]) * rng.uniform(0.9, 1.1, (60, 3))
    return {
        "encodings": X[:40],
        "pool_ms": pool_ms[:40],
        "candidates": X[40:],
        "y_ms": 5.0 * cost[40:50],
    }


def run_python(example: Example) -> None:
    """Runs a block; one that begins with the name of a file is written there, and imported."""
    text = str(example.parsed)
    file = re.match(r"# (\w+\.py)", text)
    if file:
        Path(file[1]).write_text(text)
        text = f"import {Path(file[1]).stem}"
    exec(compile(text, f"{example.path}:{example.line}", "exec"), example.namespace)


def check_recipe(example: Example) -> None:
    """Refuses a block whose tables, in a recipe that is otherwise the shortest, are none."""
    tables = tomllib.loads(str(example.parsed))
    recipe.load({"name": "a", "space": {"name": "digits-resnet"}, **tables})


def check_commands(example: Example) -> None:
    """Refuses a block with commands, options, targets or extras that are not there."""
    for line in str(example.parsed).replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            check_command(words)


def check_command(words: list[str]) -> None:
    assert words[0] in PROGRAMS, words
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert {*words[1:]} <= {*targets}, words
    if words[:2] == ["pip", "install"]:
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        named = re.findall(r"(?:\.|tailorbird)\[([\w,-]+)\]", " ".join(words))
        extras = {extra for names in named for extra in names.split(",")}
        assert extras <= {*known["optional-dependencies"]}, words
    if "tailorbird" in words:
        arguments = words[words.index("tailorbird") + 1 :]
        parse(arguments)
        ours = [name for name in arguments if name.startswith("examples/")]
        assert all((ROOT / name).exists() for name in ours), words


def parse(arguments: list[str]) -> None:
    """Parses arguments of `tailorbird` as it would, down to the last command; none is run.

    Raises:
        AssertionError: if there is no such command or option, or one is missing.
    """
    command: Any = typer.main.get_command(app)
    try:
        context = command.make_context("tailorbird", [*arguments])
        while hasattr(command, "resolve_command"):
            rest = [*context._protected_args, *context.args]
            name, command, left = command.resolve_command(context, rest)
            context = command.make_context(name, left, parent=context)
    except Exception as error:
        raise AssertionError(f"{arguments}: {error}") from error


def commands() -> Iterator[tuple[str, Any]]:
    """Names of all commands, as they are typed, with what they are."""
    waiting: list[tuple[str, Any]] = [("", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        below = getattr(command, "commands", {})
        waiting += [(f"{name} {one}".strip(), of) for one, of in below.items()]
        if not below:
            yield name, command


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_blocks_of_a_page_run_as_they_stand(page: Path, empty_folder: Path) -> None:
    quick = (
        example
        for example in examples(page, "python")
        if not any(call in str(example.parsed) for call in SECONDS)
    )
    names = run_all(quick)
    if page.name == "own-supernet.md":
        assert names["my_net"].space(batch=2).size == 1_521
    if page.name == "devices.md":
        assert len(names["ms"]) == 71


WITH_LONG_BLOCKS = [
    page
    for page in PAGES
    if any(call in text for text in blocks(page, "python") for call in SECONDS)
]


@pytest.mark.long
@pytest.mark.parametrize("page", WITH_LONG_BLOCKS, ids=lambda page: page.name)
def test_all_blocks_of_a_page_run_in_order(page: Path, empty_folder: Path) -> None:
    names = run_all(examples(page, "python"))
    if page.name == "README.md":
        assert (names["run"].folder / "report.html").exists()
        assert names["exported"].onnx.exists()
    if page.name == "searching.md":
        assert len(names["front"]) > 10
        assert len(pyplot.get_fignums()) == 1


def run_all(blocks: Iterable[Example]) -> dict[str, Any]:
    """Evaluates blocks of one page, and returns their names."""
    namespace: dict[str, Any] = {}
    for example in blocks:
        namespace = example.namespace
        if not namespace:
            namespace.update(assumed())
        example.evaluate()
    return namespace


def test_recipes_of_pages_are_right() -> None:
    recipes = [example for page in PAGES for example in examples(page, "toml")]
    for example in recipes:
        example.evaluate()
    n_whole = sum("name" in tomllib.loads(str(example.parsed)) for example in recipes)
    assert n_whole > 3


def test_commands_of_pages_are_there() -> None:
    shown = [example for page in PAGES for example in examples(page, "bash")]
    for example in shown:
        example.evaluate()
    assert len(shown) > 10


@pytest.mark.parametrize(
    "line",
    [
        *("tailorbird rum a.toml", "tailorbird run a.toml --jsn", "tailorbird run"),
        *("tailorbird table export a.toml", "torchrun -m tailorbird train", "make tset"),
        *("pip install tailorbird[gpus]", "sudo make", "tailorbird run examples/digit.toml"),
    ],
)
def test_commands_that_are_not_there_are_refused(line: str) -> None:
    with pytest.raises(AssertionError):
        check_command(line.split())


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_words_of_a_page_name_what_is_there(page: Path) -> None:
    text = page.read_text()
    fenced = {*re.findall(r"^```(\S+)", text, re.M)}
    assert fenced <= LANGUAGES
    known = {name.split()[0] for name, _ in commands()}
    for command in re.findall(r"`tailorbird ([a-z]+)", text):
        assert command in known, command
    for script in re.findall(r"`benchmarks/(\w+\.py)", text):
        assert (ROOT / "benchmarks" / script).exists(), script
    for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (page.parent / link).exists() or page.parent / link == GENERATED, link


def test_every_command_and_option_is_on_its_page() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    for name, command in commands():
        assert f"`tailorbird {name}" in text or f"`{name}" in text, name
        options = [option for one in command.params for option in one.opts if "--" in option]
        assert all(f"`{option}" in text for option in options), name


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
