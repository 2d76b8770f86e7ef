"""The package as it is installed."""

import ast
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tailorbird
from tailorbird import search

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "tvm", "pymoo", "optuna", "matplotlib", "onnxruntime", "onnx")


@pytest.mark.parametrize(
    "program",
    [
        "import tailorbird",
        "import sys, tailorbird.cli.app as c; sys.argv = ['tailorbird', '--help']; c.main()",
        "import tailorbird.spaces as s; repr(s.get('digits-resnet'))",
        "import tailorbird.search as s; dir(s)",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(program: str) -> None:
    check = (
        f"import sys\ntry:\n    exec({program!r})\nexcept SystemExit:\n    pass\n"
        f"loaded = [m for m in {HEAVY!r} if m in sys.modules]\nassert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)


def test_a_wrong_recipe_is_refused_before_predictors_are_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('name = "a"\n[space]\nname = "deit-ti-s-b"\n[device]\nname = "nowhere"\n')
    program = (
        "import sys\nfrom tailorbird.errors import RecipeError\n"
        "from tailorbird.pipeline.opening import open_recipe\n"
        f"try:\n    open_recipe({str(path)!r})\nexcept RecipeError as error:\n    print(error)\n"
        "assert not {'sklearn', 'torch'} & {*sys.modules}"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert b"no device named 'nowhere'" in done.stdout


def test_search_exports_its_names_in_one_way() -> None:
    tree = ast.parse(Path(search.__file__).read_text())
    typed = {
        name.name: str(node.module).removeprefix("tailorbird.search.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("tailorbird.")
        for name in node.names
    }
    assert typed == search._MODULES
    assert sorted(typed) == sorted(search.__all__)
    assert {*typed} <= {*dir(search)}
    for name in search.__all__:
        exported = getattr(search, name)
        assert getattr(search, name) is exported
        assert not callable(exported) or exported.__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'nsga3'"):
        _ = search.nsga3  # type: ignore[attr-defined]


def test_algorithms_need_a_budget_at_most_besides_the_problem() -> None:
    names = "nsga2 guided random_search optuna_search regularised_evolution exact_front best"
    for name in names.split():
        first, *others = inspect.signature(getattr(search, name)).parameters.values()
        assert first.name == "problem"
        needed = {one.name for one in others if one.default is one.empty}
        assert needed <= {"n_evaluations", "unknown"}
        settings = [one for one in others if one.name != "unknown"]
        assert all(one.kind is one.KEYWORD_ONLY for one in settings)


@pytest.mark.parametrize("name", ["search", "predictors", "latency_tables"])
def test_rooms_stand_at_the_top_and_are_not_importable_bare(name: str, tmp_path: Path) -> None:
    link = ROOT / name
    if link.is_symlink():  # a checkout without symbolic links works the same
        assert link.resolve() == (ROOT / "src" / "tailorbird" / name).resolve()
    assert importlib.util.find_spec(f"tailorbird.{name}") is not None
    # In a process of its own: what other tests ran may have made this folder importable.
    program = (
        f"from importlib.util import find_spec as f; print(getattr(f({name!r}), 'origin', ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert ROOT not in Path(done.stdout.strip()).parents


def test_the_version_is_printed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tailorbird", "--version"], check=True, capture_output=True
    )
    assert done.stdout.decode().strip() == tailorbird.__version__
