"""Earlier evaluations that a recipe names are refused by whatever command opens it."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest

from tailorbird import spaces

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "a"
[space]
name = "digits-resnet"
max_stitches = 1
[accuracy]
train_epochs = 1
stitch_epochs = 1
evaluations = 12
earlier = "EARLIER"
"""

COMMANDS = (
    *(("run",), ("profile",), ("adapt",), ("train",)),
    *(("search",), ("report",), ("finetune",), ("export",)),
    *(("table", "show"), ("table", "keys")),
    *(("table", "export", "t.csv"), ("table", "import", "t.csv"), ("compile", "libraries")),
)


def write_study(path: Path) -> None:
    X = spaces.get("digits-resnet", max_stitches=1).landmarks
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    study = optuna.create_study(storage=storage, study_name="errors", direction="minimize")
    for row in X.tolist():
        study.add_trial(optuna.trial.create_trial(value=0.05, user_attrs={"encoding": row}))
    storage.engine.dispose()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_study_of_error_rates_is_refused_by_every_command(
    tailorbird: Tailorbird, tmp_path: Path, command: tuple[str, ...]
) -> None:
    write_study(tmp_path / "errors.db")
    Path("a.toml").write_text(RECIPE.replace("EARLIER", "sqlite:///errors.db#errors"))
    Path("t.csv").write_text('key,ms\n"call()[1]f32",1\n')
    last = 2 if command[0] == "table" else 1
    code, out, err = tailorbird(*command[:last], "a.toml", *command[last:])
    assert (code, out) == (2, "")
    assert "directions of the study 'errors' in sqlite:///errors.db are: minimize" in err
    assert err.count("\n") == 1
    assert not Path("runs").exists()
    assert not Path("libraries").exists()


def test_what_is_wrong_is_told_by_devices_as_well(tailorbird: Tailorbird, tmp_path: Path) -> None:
    write_study(tmp_path / "errors.db")
    Path("a.toml").write_text(RECIPE.replace("EARLIER", "sqlite:///errors.db#errors"))
    code, out, _ = tailorbird("devices", "a.toml")
    assert code == 0
    assert "are: minimize" in out


def test_files_in_capitals_and_compressed_ones_open_a_recipe(tailorbird: Tailorbird) -> None:
    space = spaces.get("digits-resnet", max_stitches=1)
    lines = [",".join([*(one.name for one in space.variables), "accuracy"])]
    lines += [",".join(map(str, [*row, 0.5])) for row in space.landmarks.tolist()]
    text = "\n".join(lines)
    Path("E.CSV").write_text(text)
    Path("e.csv.gz").write_bytes(gzip.compress(text.encode()))
    Path("twice.csv").write_text("\n".join([*lines, lines[1].replace("0.5", "0.75")]))
    for name, said in (
        ("E.CSV", ""),
        ("e.csv.gz", ""),
        ("twice.csv", "line 2 and line 6 are both w4:0-5, with 0.5 and 0.75"),
        ("none.csv", "No such file"),
    ):
        Path("a.toml").write_text(RECIPE.replace("EARLIER", name))
        code, _, err = tailorbird("table", "keys", "a.toml")
        assert (code, said in err) == (2 if said else 0, True), err


def test_published_accuracies_have_no_earlier_ones(tailorbird: Tailorbird) -> None:
    text = RECIPE.split("[accuracy]")[0] + '[accuracy]\npublished = "snnet"\nearlier = "e.csv"\n'
    Path("a.toml").write_text(text)
    code, _, err = tailorbird("search", "a.toml")
    assert code == 2
    assert "with [accuracy] published nothing is trained: drop earlier" in err


def test_rows_that_count_from_one_are_none_of_the_space(tailorbird: Tailorbird) -> None:
    space = spaces.get("digits-resnet", max_stitches=1)
    names = [one.name for one in space.variables]
    X = np.concatenate(list(space.enumerate())) + 1
    lines = [",".join([*names, "accuracy"]), *(",".join(map(str, [*x, 0.5])) for x in X.tolist())]
    Path("one.csv").write_text("\n".join(lines))
    Path("a.toml").write_text(RECIPE.replace("EARLIER", "one.csv"))
    code, _, err = tailorbird("train", "a.toml")
    assert code == 2
    assert "`0 <= " in err
