"""A user's own code that raises, or ends the program, and errors that nobody foresaw."""

import itertools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_runtime import FakeRuntime
from torch import Tensor, nn

import tailorbird as tailorbird_package
from tailorbird.errors import MeasurementError
from tailorbird.latency_tables import Device, Program, Store, shipped
from tailorbird.latency_tables.profiling.numerics import check
from tailorbird.latency_tables.profiling.preparation import Spent, prepare
from tailorbird.pipeline import python_path
from tailorbird.search.evaluation.executors import outcomes
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet

Tailorbird = Callable[..., tuple[int, str, str]]

OWN = '''
import sys

import numpy as np
from torch import nn

from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.training import Dataset, Split


class Stop(BaseException):
    """Of a framework of the user's."""


class Odd(Exception):
    """Whose message ends the program."""

    def __str__(self):
        sys.exit(0)


def end(where):
    if where == "{where}":
        {how}


end("import")


class Space(StitchSpace):
    def sample(self, n, rng):
        if n > 8:
            end("sample")
        end("any sample")
        return super().sample(n, rng)


def space(batch):
    end("space")
    family = DigitsResNet(batch, (2, 4), 2, n_classes=3, name="own")
    return Space(family, Windows(2, 1), max_stitches=1)


def data():
    end("data")
    rng = np.random.default_rng(0)
    splits = [
        Split(rng.standard_normal((30, 1, 8, 8), dtype=np.float32), np.arange(30) % 3)
        for _ in range(3)
    ]
    return Dataset("own", 3, *splits)


def teacher():
    end("teacher")
    return Teacher()


class Teacher(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 3))

    def forward(self, x):
        end("teaching")
        return super().forward(x)


def score(outputs, labels):
    right = outputs.argmax(1) == labels
    if not right.all():
        end("score")
    end("any score")
    return float(right.mean())
'''
RECIPE = """
name = "own"
[space]
module = "{module}:space"
[latency]
runtime = "torch"
rounds = 2
[accuracy]
module = "{module}:data"
teacher = "{module}:teacher"
evaluator = "{module}:score"
train_epochs = 1
stitch_epochs = 1
evaluations = 12
"""
HOWS = ["sys.exit(0)", "sys.exit()", "raise Stop('enough')", "raise KeyError(where)", "raise Odd"]
NUMBERS = itertools.count()


def write(where: str, how: str) -> None:
    module = f"own_{next(NUMBERS)}"  # since Python keeps what it imported
    Path(f"{module}.py").write_text(OWN.replace("{where}", where).replace("{how}", how))
    Path("own.toml").write_text(RECIPE.format(module=module))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(
    "where", ["import", "space", "any sample", "data", "teacher", "teaching", "any score"]
)
def test_code_that_ends_the_program_is_refused_like_one_that_raises(
    tailorbird: Tailorbird, where: str, how: str
) -> None:
    write(where, how)
    code, out, err = tailorbird("train", "own.toml")
    assert code == 2
    assert re.search(r"\((SystemExit|Stop|KeyError|Odd)\b", err)
    assert err.count("\n") == 1
    assert not out


def write_priced(tailorbird: Tailorbird, where: str, how: str) -> None:
    """The same, with a table instead of measurements, so that what comes later comes soon."""
    write(where, how)
    space = StitchSpace(
        DigitsResNet(1, (2, 4), 2, n_classes=3, name="own"), Windows(2, 1), max_stitches=1
    )
    lines = [f'"{workload.key}",1' for workload in space.workloads]
    Path("own.csv").write_text("\n".join(["key,ms", *lines]) + "\n")
    recipe = Path("own.toml").read_text()
    imported = '[device]\nname = "my phone"\n[latency]\nruntime = "imported"'
    Path("own.toml").write_text(
        recipe.replace('[latency]\nruntime = "torch"\nrounds = 2', imported)
    )
    assert tailorbird("table", "import", "own.toml", "own.csv")[0] == 0


METHODS = [
    *("sys.exit(0)", "raise Stop", "raise KeyError(where)", "raise EOFError(where)"),
    *("raise BrokenPipeError(32, where)", "raise Odd", "raise GeneratorExit"),
]


@pytest.mark.parametrize("how", METHODS)
def test_a_method_that_ends_the_program_is_named_with_its_line(
    tailorbird: Tailorbird, how: str
) -> None:
    write_priced(tailorbird, "sample", how)
    code, out, err = tailorbird("run", "own.toml")
    assert code == 2
    told = err.splitlines()[-1]
    assert re.search(r"Your own code failed \(.*own_\d+\.py, line 25, in end: ", told)
    assert "--debug shows more" in told
    assert "Traceback" not in err
    assert not out
    code, _, err = tailorbird("--debug", "run", "own.toml")
    assert code == 2
    assert "Traceback" in err


def test_a_module_of_the_users_is_theirs_wherever_it_lies(
    tailorbird: Tailorbird, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_priced(tailorbird, "sample", "sys.exit(0)")
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (module,) = Path().glob("own_*.py")
    module.rename(installed / f"x{module.name}")
    recipe = Path("own.toml").read_text().replace(module.stem, f"x{module.stem}")
    Path("own.toml").write_text(recipe)
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setattr(python_path, "_HOMES", set[str]())
    code, _, err = tailorbird("run", "own.toml")
    assert code == 2
    assert f"Your own code failed ({installed / f'x{module.name}'}, line 25" in err


@pytest.mark.parametrize("file", ["<frozen _sitebuiltins>", "<string>"])
def test_code_without_a_file_is_nobodys(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_path, "_HOMES", {str(tmp_path)})
    monkeypatch.chdir(tmp_path)
    assert python_path.is_users(str(tmp_path / "own.py"))
    assert not python_path.is_users(file)


def test_a_package_that_is_reached_by_a_link_is_ours(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(Path(tailorbird_package.__file__).parents[1])
    command = [sys.executable, "-m", "tailorbird", "--version"]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(tmp_path / "link")}, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_interruption_that_no_signal_made_is_told_as_such(tailorbird: Tailorbird) -> None:
    write_priced(tailorbird, "score", "raise KeyboardInterrupt")
    code, _, err = tailorbird("run", "own.toml")
    assert code == 1
    assert "stopped by a KeyboardInterrupt that some code raised, and no signal" in err


@pytest.mark.parametrize("how", ["sys.exit(0)", "raise Stop"])
def test_an_evaluator_that_ends_the_program_fails_for_that_network(
    tailorbird: Tailorbird, how: str
) -> None:
    write_priced(tailorbird, "score", how)
    code, _, err = tailorbird("run", "own.toml")
    assert code == 1
    assert re.search(r"networks must be evaluated .*(SystemExit|Stop)", err.splitlines()[-1])


def test_evaluators_are_stopped_by_ctrl_c_alone() -> None:
    def stops(X: IntArray) -> FloatArray:
        raise SystemExit(0)

    def interrupted(X: IntArray) -> FloatArray:
        raise KeyboardInterrupt

    (outcome,) = outcomes(stops, [(0,)])
    assert outcome.reason == "SystemExit: 0"
    with pytest.raises(KeyboardInterrupt):
        list(outcomes(interrupted, [(0,)]))


class Ends(nn.Module):
    """Ends the program in the pass of that number."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def forward(self, x: Tensor) -> Tensor:
        self.left -= 1
        if self.left == 0:
            sys.exit(0)
        return x + 1


def test_a_module_that_ends_the_program_is_a_row_with_its_reason(
    runtime: FakeRuntime, device: Device, store: Store
) -> None:
    program = Program("ends", lambda: Ends(1), ((1, 3),))
    with pytest.raises(MeasurementError, match=r"torch could not build or export it .*SystemExit"):
        prepare(program, runtime, device, store, Spent("ends"))
    fine = runtime.compile(Ends(9), program.examples(0), device)
    with pytest.raises(MeasurementError, match=r"it does not run in torch .*SystemExit"):
        check(program, Ends(1), runtime, fine, device)


@pytest.mark.parametrize("where", ["first", "last"])
def test_what_nobody_foresaw_is_one_sentence_and_a_log(
    command_line: Tailorbird, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(python_path, "_HOMES", set())  # of other tests, in whose folder this lies
    monkeypatch.setattr(python_path, "_NAMED", set())
    monkeypatch.setattr(shipped, "shipped_tables", lambda: dict[str, object]()["a\nkey"])
    code, out, err = command_line("devices")
    assert code == 1
    assert not out
    assert err.count("\n") == 1
    assert "Nobody foresaw this error (KeyError: 'a\\nkey')" in err
    (log,) = tmp_path.glob("tailorbird-*.log")
    assert str(log) in err
    assert log.stat().st_mode & 0o777 == 0o600
    assert "Traceback (most recent call last)" in log.read_text()
    arguments = ["--debug", "devices"] if where == "first" else ["devices", "--debug"]
    code, _, err = command_line(*arguments)
    assert code == 1
    assert "Traceback (most recent call last)" in err
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    code, _, err = command_line("devices")
    assert code == 1
    assert "nowhere, as none can be written (No such file or directory)" in err


def test_what_a_command_ends_with_stays() -> None:
    for arguments, code in ((["--version"], 0), (["--help"], 0), (["nonsense"], 2)):
        command = [sys.executable, "-m", "tailorbird", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == code
        assert "Nobody" not in done.stderr


def test_this_package_is_no_users_though_a_recipe_may_name_it(tmp_path: Path) -> None:
    """Errors name lines of users alone."""
    python_path.resolve("tailorbird.training.data.digits:load", tmp_path, "[accuracy] module")
    assert not python_path.is_users(python_path.__file__)
