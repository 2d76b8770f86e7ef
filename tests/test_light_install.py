"""The package where nothing is installed but what it requires: no torch, no TVM."""

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from bare_venv import linked, named

import tailorbird
from tailorbird.errors import EXTRAS

ROOT = Path(__file__).parents[1]
PACKAGE = Path(tailorbird.__file__).parent
TABLES = PACKAGE / "latency_tables" / "data"
TVM_TABLE = TABLES / "epyc-avx512.digits-resnet.tvm.parquet"

Run = Callable[..., subprocess.CompletedProcess[str]]

SPACE = '[space]\nname = "digits-resnet"\nmax_stitches = 1\n'
TRAINED = f'name = "trained"\n{SPACE}'
TABULATED = '[accuracy]\ntable = "accuracies.csv"\npredictor = "ridge"\n'
SHIPPED = (
    f'name = "shipped"\n{SPACE}[device]\nname = "epyc-avx512"\nbatch = 16\n{TABULATED}'
    "[search]\npopulation = 20\ngenerations = 5\n"
)
MEASURED = f'name = "measured"\n{SPACE}[device]\nbatch = 16\n{TABULATED}[latency]\nruntime = '
RECIPES = {
    "trained.toml": TRAINED,
    "shipped.toml": SHIPPED,
    "again.toml": SHIPPED.replace('"shipped"', '"again"').replace("[accuracy]", "[accuracy]\n"),
    "unkept.toml": SHIPPED.replace("max_stitches", "n_classes = 7\nmax_stitches"),
    "tvm.toml": f'{MEASURED}"tvm"\n',
    "onnxruntime.toml": f'{MEASURED}"onnxruntime"\n',
    "openvino.toml": f'{MEASURED}"openvino"\n',
    "eager.toml": f'{MEASURED}"torch"\n',
    "command.toml": f'{MEASURED}"command"\ncommand = "echo {{onnx}}"\n',
}
ACCURACIES = """
import numpy as np, pandas as pd
from tailorbird import spaces
space = spaces.get("digits-resnet", max_stitches=1, batch=16)
X = np.vstack([*space.enumerate()])
accuracies = np.random.default_rng(0).uniform(0.8, 0.95, len(X))
table = {"architecture": [space.describe(row) for row in X], "accuracy": accuracies}
pd.DataFrame(table).to_csv("accuracies.csv", index=False)
"""
CALLS = """
import contextlib
from pathlib import Path
import numpy as np
import tailorbird
from tailorbird import errors, spaces

space = spaces.get("digits-resnet", batch=16)
row = space.landmarks[0]
def runtime(name):
    from tailorbird.registry import python_paths, runtimes
    from tailorbird.latency_tables.runtime import Timing
    return python_paths.load(runtimes.RUNTIMES[name].path)(Path("room"), Timing())
def load():
    from tailorbird.export.network import load
    return load(Path("x.safetensors"), space)
def count():
    from tailorbird.predictors import mega_macs
    return mega_macs(spaces.get("digits-resnet", n_classes=7))
def train():
    import tailorbird.training
def module():
    return spaces.Workload.from_module("mine", None, (1, 2))
def published():
    from tailorbird.published.tables import TABLES
    TABLES["nasbench201"].make(Path("data"), "nowhere", None)
calls = [
    lambda: space.build(row), space.workloads[0].build, load, count, train, module, published,
    *(lambda name=name: runtime(name) for name in ("tvm", "onnxruntime", "openvino", "torch")),
    lambda: tailorbird.open_recipe("trained.toml"),
    lambda: tailorbird.open_recipe("tvm.toml").profile(),
    lambda: tailorbird.open_recipe("shipped.toml").export(),
    lambda: spaces.get("nasbench201").build(np.zeros(6, dtype=int)),
    lambda: spaces.get("cifar-elastic"),
]
for number, call in enumerate(calls):
    try:
        call()
    except errors.MissingPackageError as error:
        print(error)
    else:
        print("no error of call", number)
"""
IMPORTS = """
import importlib, pkgutil, tailorbird
for module in pkgutil.walk_packages(tailorbird.__path__, "tailorbird.", onerror=lambda name: None):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        print(module.name)
"""
OF_NETWORKS = (
    r"training(\..*)?",
    r"cli\.ranks",
    r"spaces\.structure",
    r"spaces\..*modules(\..*)?",
    r"export\.(onnx|plain_file|plain_module|prepared|program)",
    r"latency_tables\.runtimes\.(tvm|torch_eager\.(export|timer)|onnxruntime\.timer|openvino\.timer)",
    r"pipeline\.(finetuning|chosen_places|own_code\.training_rule)",
    r"pipeline\.accuracy_sources\.(trained|training_passes|finetuner|named_data|member_keys)",
    r"pipeline\.accuracy_sources\.(.*_)?inputs",
    r"predictors\.accuracy\.zero_cost\.(batch_norms|gradients|naswot|size|synflow)",
)
"""Modules that import torch, TVM or a runtime when they are imported themselves."""

NEEDING = {
    **{f"{step} trained.toml": ("torch", "training") for step in ("run", "train", "evaluate")},
    **{
        f"{step} tvm.toml": ("apache-tvm", "tvm") for step in ("run", "profile", "search", "report")
    },
    "table measure-again tvm.toml": ("apache-tvm", "tvm"),
    f"table import tvm.toml {TVM_TABLE}": ("apache-tvm", "tvm"),
    "profile onnxruntime.toml": ("onnxruntime", "onnxruntime"),
    "profile openvino.toml": ("openvino", "openvino"),
    "profile eager.toml": ("torch", "training"),
    "profile command.toml": ("onnx", "command"),
    "check tvm.toml": ("apache-tvm", "tvm"),
    "check trained.toml": ("torch", "training"),
    "run unkept.toml": ("torch", "training"),
    "finetune shipped.toml": ("torch", "training"),
    "export shipped.toml": ("torch", "training"),
    "compile tvm.toml libraries": ("apache-tvm", "tvm"),
    "devices --endpoint 127.0.0.1:9": ("apache-tvm", "tvm"),
    "devices --tracker 127.0.0.1:9": ("apache-tvm", "tvm"),
    "data get fbnet": ("torch", "training"),
    "data get nasbench201": ("torch", "training"),
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a venv with what the package requires without any extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    folder = tmp_path_factory.mktemp("venv")
    about = folder / f"tailorbird-{tailorbird.__version__}.dist-info"
    about.mkdir()
    facts = f"Metadata-Version: 2.1\nName: tailorbird\nVersion: {tailorbird.__version__}\n"
    (about / "METADATA").write_text(facts)
    return linked(folder, map(named, project["dependencies"]), PACKAGE, about)


@pytest.fixture(scope="module")
def accuracies(python: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A table of made-up accuracies of all networks."""
    folder = tmp_path_factory.mktemp("accuracies")
    subprocess.run([python, "-c", ACCURACIES], cwd=folder, env={}, check=True)
    return (folder / "accuracies.csv").read_text()


@pytest.fixture
def run(python: Path, accuracies: str, tmp_path: Path) -> Run:
    """Runs the interpreter in a folder of recipes."""
    (tmp_path / "accuracies.csv").write_text(accuracies)
    for name, text in RECIPES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "data").mkdir()  # else data beside a checkout would count
    environment = {
        "HOME": str(tmp_path / "home"),
        "PATH": os.defpath,
        "TAILORBIRD_DATA": str(tmp_path / "data"),
    }

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def tailor(run: Run) -> Run:
    """Runs the command line."""
    return lambda *words: run("-m", "tailorbird", *words)


def test_extras_are_not_there_and_the_package_starts_at_once(run: Run, tailor: Run) -> None:
    program = "import sys, importlib.util as u; print(*[n for n in sys.argv[1:] if u.find_spec(n)])"
    assert run("-c", program, *EXTRAS).stdout.strip() == ""
    timed = (
        "import time; t = time.perf_counter(); import tailorbird; print(time.perf_counter() - t)"
    )
    print(f"import tailorbird: {float(run('-c', timed).stdout):.3f} s")  # noqa: T201
    helped = tailor("--help")
    assert helped.returncode == 0, helped.stderr
    assert "measure" in helped.stdout


@pytest.mark.long
def test_a_recipe_is_begun_and_the_installation_looked_at(tailor: Run, tmp_path: Path) -> None:
    begun = tailor("init", "mine.toml", "--space", "nasbench201")
    assert begun.returncode == 0, begun.stderr
    assert (tmp_path / "mine.toml").exists()
    looked = tailor("doctor")
    assert looked.returncode == 0, looked.stderr
    assert "apache-tvm     not installed" in looked.stdout
    assert "`pip install 'tailorbird[tvm]'`" in looked.stdout


@pytest.mark.long
def test_tables_are_read_and_compared(tailor: Run) -> None:
    shown = tailor("table", "show", str(TVM_TABLE), "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)
    compared = tailor("table", "diff", str(TVM_TABLE), str(TVM_TABLE).replace("tvm", "onnxruntime"))
    assert compared.returncode == 0, compared.stderr
    for words in (["devices"], ["data", "list"], ["--version"]):
        done = tailor(*words)
        assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_a_table_of_others_is_imported_and_exported(tailor: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "imported.toml"
    text = SHIPPED.replace('"shipped"', '"imported"').replace('"epyc-avx512"', '"theirs"')
    recipe.write_text(f'{text}[latency]\nruntime = "imported"\n')
    keys = tailor("table", "keys", recipe.name).stdout.split("\n")
    rows = [f'"{key}",{1 + number}' for number, key in enumerate(filter(None, keys))]
    (tmp_path / "theirs.csv").write_text("\n".join(["key,ms", *rows]))
    for words in (
        ["table", "import", recipe.name, "theirs.csv"],
        ["table", "export", recipe.name, "mine.parquet"],
        ["table", "show", recipe.name],
        ["search", recipe.name],
    ):
        done = tailor(*words)
        assert done.returncode == 0, (words, done.stderr)


@pytest.mark.long
def test_a_space_is_searched_and_reported_and_runs_are_compared(
    tailor: Run, tmp_path: Path
) -> None:
    for recipe in ("shipped", "again"):
        done = tailor("run", f"{recipe}.toml")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "runs" / recipe / "report.html").stat().st_size > 20_000
    front = json.loads((tmp_path / "runs" / "shipped" / "front.json").read_text())
    assert "n_macs" in json.dumps(front)
    compared = tailor("compare", "runs/shipped", "runs/again")
    assert compared.returncode == 0, compared.stderr
    assert (tmp_path / "compared.html").exists()


COMMANDS = """
import contextlib, io, json, sys
from pathlib import Path

from tailorbird.cli.app import main

for words in sys.argv[1:]:
    before, code = sorted(Path().rglob("*")), 0
    said = io.StringIO(), io.StringIO()
    sys.argv = ["tailorbird", *words.split()]
    with contextlib.redirect_stdout(said[0]), contextlib.redirect_stderr(said[1]):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    is_clean = sorted(Path().rglob("*")) == before
    print(json.dumps([words, code, *(one.getvalue() for one in said), is_clean]))
"""


@pytest.mark.long
def test_what_lacks_is_named_before_anything_is_written(run: Run) -> None:
    done = run("-c", COMMANDS, *NEEDING)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [words for words, *_ in lines] == [*NEEDING]
    for words, code, out, err, is_clean in lines:
        package, extra = NEEDING[words]
        assert (code, out, is_clean) == (2, "", True), (words, err)
        (sentence,) = err.splitlines()
        assert f"needs the package '{package}', which is not installed" in sentence
        assert sentence.endswith(f"install it with `pip install 'tailorbird[{extra}]'`.")


@pytest.mark.long
def test_functions_of_python_name_it_as_well(run: Run, tmp_path: Path) -> None:
    done = run("-c", CALLS)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 16
    assert all("which is not installed: install it with `pip" in line for line in lines), lines
    assert not [*tmp_path.glob("runs/*")]


@pytest.mark.long
def test_few_modules_need_torch_to_be_imported(run: Run) -> None:
    done = run("-c", IMPORTS)
    assert done.returncode == 0, done.stderr
    names = "|".join(OF_NETWORKS)
    listed = re.compile(rf"tailorbird\.({names})")
    assert [name for name in done.stdout.split() if not listed.fullmatch(name)] == []


def test_every_extra_that_is_named_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert {known.extra for known in EXTRAS.values()} <= {*extras}
