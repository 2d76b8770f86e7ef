"""Recipes of modules of a user's own, of which nothing but latencies is wanted."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tailorbird.errors import RecipeError
from tailorbird.pipeline.opening import open_recipe

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "some"
[space]
programs = "{programs}"
{space}
[latency]
runtime = "own_code:Simulator"
rounds = 2
{rest}
"""
NAMES = ("classifier", "sum", "first layer")


def write(programs: str = "own_code:programs", space: str = "", rest: str = "") -> Path:
    path = Path("some.toml")
    path.write_text(RECIPE.format(programs=programs, space=space, rest=rest))
    return path


@pytest.mark.long
def test_modules_become_a_table(tailorbird: Tailorbird) -> None:
    write(space="width = 8")
    code, out, err = tailorbird("profile", "some.toml", "--json")
    assert code == 0, err
    rows = {row["workload"].partition("(")[0]: row for row in json.loads(out)["rows"]}
    assert rows.keys() - {"call"} == {*NAMES}
    assert "[2x8,2x8]f32" in rows["sum"]["workload"]
    assert all(row["median_ms"] > 0 for row in rows.values())
    code, out, err = tailorbird("table", "show", "some.toml")
    assert code == 0, err
    assert all(name in out for name in NAMES)
    code, out, err = tailorbird("table", "keys", "some.toml")
    assert code == 0, err
    assert len(out.splitlines()) >= len(NAMES)
    assert tailorbird("table", "export", "some.toml", "some.csv")[0] == 0
    code, out, err = tailorbird("table", "diff", "some.toml", "some.csv")
    assert code == 0, err
    assert "classifier" in out
    write(space="width = 16")  # other structures under the same names
    code, out, err = tailorbird("table", "show", "some.toml", "--json")
    assert code == 0, err
    keys = [row["workload"] for row in json.loads(out)["rows"]]
    assert not any("[2x16" in key for key in keys)


@pytest.mark.parametrize("command", ["train", "search", "run", "report", "finetune", "export"])
def test_there_is_nothing_to_choose(tailorbird: Tailorbird, command: str) -> None:
    write()
    code, out, err = tailorbird(command, "some.toml")
    assert (code, out) == (2, "")
    told = "There is nothing to choose among [space] programs = 'own_code:programs'"
    assert told in " ".join(err.split()), err
    assert "tailorbird profile some.toml" in " ".join(err.split())


@pytest.mark.parametrize(
    ("programs", "message"),
    [
        ("own_code:no_such", r"\[space\] programs = .* names nothing that can be imported"),
        ("own_code:NOT_CALLABLE", "must name what can be called"),
        ("own_code:raises", r"\[space\] programs = 'own_code:raises' failed \(TypeError"),
        ("own_code:no_programs", r"programs = 'own_code:no_programs': Programs must be given as"),
        ("own_code:tuples", r"programs = 'own_code:tuples': A module must give one tensor"),
        ("own_code", "programs"),
    ],
)
def test_what_gives_no_modules_is_refused_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=message):
        open_recipe(write(programs))


def test_modules_that_do_not_do_what_they_must_are_refused_before_they_are_measured(
    tailorbird: Tailorbird,
) -> None:
    write("own_code:noisy_programs")
    code, _, err = tailorbird("profile", "some.toml")
    assert code == 2
    assert "[space] programs = 'own_code:noisy_programs': A module must give the same" in err


@pytest.mark.parametrize(
    ("space", "latency", "message"),
    [
        ('name = "digits-resnet"', "", "either a name or a module, or programs to time"),
        ('module = "own_code:Perceptrons"', "", "either a name or a module, or programs to time"),
        ("", 'predictor = "inferred-sum"\nsamples = 10', "timed each for itself, and no networks"),
        ("", 'predictor = "own_code:proportional"\nsamples = 3', "drop samples, predictor and"),
        ("", 'adapt_from = ["epyc-avx512"]', "drop samples, predictor and adapt_from"),
        ("depth = 3", "", r"failed \(TypeError: programs\(\) got an unexpected keyword"),
    ],
)
def test_programs_are_no_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: str, latency: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=message):
        open_recipe(write(space=space, rest=latency))


def test_programs_are_no_networks(tailorbird: Tailorbird) -> None:
    write()  # whose inputs have several shapes
    pd.DataFrame({"program": [0, 1]}).to_parquet("rows.parquet")
    code, out, err = tailorbird("profile", "some.toml", "--networks", "rows.parquet")
    assert (code, out) == (2, "")
    assert "each has a row as it is. Leave out the file of networks." in err


@pytest.mark.long
@pytest.mark.tvm
def test_modules_are_compiled(tailorbird: Tailorbird) -> None:
    path = write(space="width = 8")
    path.write_text(path.read_text().replace('runtime = "own_code:Simulator"\n', ""))
    code, _, err = tailorbird("compile", "some.toml", "libraries")
    assert code == 0, err
    assert len([*Path("libraries").glob("*.so")]) >= len(NAMES)
    code, out, err = tailorbird("profile", "some.toml", "--json")
    assert code == 0, err
    assert len(json.loads(out)["rows"]) > len(NAMES)
