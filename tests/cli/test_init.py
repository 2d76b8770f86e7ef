"""First recipes: they are what they say, and what is behind a # is what a recipe has without it."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tailorbird import recipe as recipes
from tailorbird import spaces
from tailorbird.recipe import Recipe
from tailorbird.spaces.registry import SPACES

Tailorbird = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("locks_of_its_own")


def uncommented(text: str) -> list[tuple[str, str]]:
    """Texts in which one key that was a comment counts, with the key."""
    return [
        (match[1], text.replace(line, line.removeprefix("# ")))
        for line in text.splitlines()
        if (match := re.match(r"# (\w+) = ", line))
    ]


def what_it_says(recipe: Recipe) -> tuple[object, ...]:
    """All that a run goes by, whether it is stated or not."""
    (table,) = recipe.space.tables
    settings = tuple(sorted(table.settings.items()))
    alone = {"train_epochs": recipe.accuracy.train_epochs or 30}  # if no anchor has a file
    sections = (recipe.device, recipe.latency, recipe.search, recipe.report)
    accuracy = {**recipe.accuracy.model_dump(), **alone}
    of_all = (section.model_dump() for section in sections)
    return name_of(str(table.name), settings), accuracy, *of_all


@cache
def name_of(space: str, settings: tuple[tuple[str, object], ...]) -> str:
    """Name of a space, which tells its settings."""
    return spaces.get(space, **dict(settings)).name


SOME = ("digits-resnet", "digits-elastic", "nasbench201")


@pytest.mark.parametrize(
    "space",
    [name if name in SOME else pytest.param(name, marks=pytest.mark.long) for name in SPACES],
)
def test_defaults_are_what_it_says_they_are(space: str, tailorbird: Tailorbird) -> None:
    code, out, err = tailorbird("init", "a.toml", "--space", space, "--json")
    assert code == 0, err
    assert json.loads(out) == {"files": ["a.toml"]}
    text = Path("a.toml").read_text()
    made, _ = recipes.load(Path("a.toml"))
    assert (made.name, made.space.name, made.device.batch) == ("a", space, 1)
    said = what_it_says(made)
    for key, other in uncommented(text):
        Path("b.toml").write_text(other.replace("# [accuracy.anchors]", "[accuracy.anchors]"))
        again, _ = recipes.load(Path("b.toml"))
        examples = ("data", "function", "table", "rule", "largest", "devices", "max_latency_ms")
        is_example = key in examples or f"{key}.safetensors" in other
        if not is_example:
            assert what_it_says(again) == said, key
    assert len(uncommented(text)) > 8
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("space", ["digits-resnet", "elastic-vit", "nasbench201"])
def test_all_of_a_kind_of_space_has_its_keys(space: str, tailorbird: Tailorbird) -> None:
    assert tailorbird("init", "a.toml", "--space", space)[0] == 0
    text = Path("a.toml").read_text()
    assert ("stitch_epochs" in text) == (space == "digits-resnet")
    assert ("supernet_epochs" in text) == (space == "elastic-vit")
    assert ("function" in text) == (space == "nasbench201")


def test_own_modules_to_begin_with_can_be_checked(tailorbird: Tailorbird) -> None:
    arguments = ("--module", "my_net:networks", "--data", "digits", "--batch", "4")
    code, out, err = tailorbird("init", "own.toml", *arguments)
    assert code == 0, err
    assert out.startswith("Written: my_net.py, own.toml.")
    before = Path("my_net.py").read_text()
    compile(before, "my_net.py", "exec")
    code, out, err = tailorbird("init", "again.toml", *arguments)  # the module is there
    assert code == 0, err
    assert out.startswith("Written: again.toml.")
    assert Path("my_net.py").read_text() == before


@pytest.mark.slow
@pytest.mark.tvm
def test_a_table_of_programs_takes_three_commands(tailorbird: Tailorbird) -> None:
    assert tailorbird("init", "b.toml", "--programs", "my_blocks:blocks")[0] == 0
    code, out, err = tailorbird("check", "b.toml")
    assert code == 0, err
    assert "`tailorbird profile b.toml`" in out
    assert "5 of 5 programs" in out  # with the empty one
    code, out, err = tailorbird("profile", "b.toml")
    assert code == 0, err
    assert all(f" {name}(" in out for name in ("conv", "attention", "linear"))


def test_classes_of_a_folder_are_counted(tailorbird: Tailorbird) -> None:
    for name in ("cat", "dog", "owl"):
        Path("pictures/train", name).mkdir(parents=True)
    arguments = ("--space", "deit-ti-s-b", "--data", "./pictures")
    assert tailorbird("init", "a.toml", *arguments)[0] == 0
    made, _ = recipes.load(Path("a.toml"))
    assert made.space.tables[0].settings == {"n_classes": 3}
    assert made.accuracy.data == "./pictures"
    assert '# ti = "ti.safetensors"' in Path("a.toml").read_text()


def test_a_board_is_named_by_its_address(tailorbird: Tailorbird) -> None:
    assert tailorbird("init", "a.toml", "--space", "regnet", "--device", "10.0.0.7:9090")[0] == 0
    made, _ = recipes.load(Path("a.toml"))
    assert (made.device.name, made.device.endpoint) == ("board", "10.0.0.7:9090")


@pytest.mark.parametrize(
    ("arguments", "law"),
    [
        (("a.toml",), "says which networks: give --space"),
        (("a.toml", "--space", "regnet", "--module", "a:b"), "Name one of"),
        (("a.toml", "--space", "regnets"), "no space named 'regnets'; did you mean 'regnet'"),
        (("a.toml", "--module", "nonsense"), "named as module:name, but got 'nonsense'"),
        (("there.toml", "--space", "regnet"), "'there.toml' is there already"),
        (("a.toml", "--space", "regnet", "--data", "./none"), "folder train/CLASS for each class"),
        (("a.toml", "--space", "regnet", "--data", "nothing"), "digits"),
        (("a.toml", "--module", "own:space", "--data", "nothing"), "digits"),
        (("a.toml", "--module", "own:class"), "named as module:name"),
        (("a.toml", "--programs", "own:class"), "named as module:name"),
        (("a.toml", "--module", "numpy:space"), "Python finds 'numpy' elsewhere"),
        (("a.toml", "--programs", "json.own:programs"), "Python finds 'json' elsewhere"),
        (("a.toml", "--space", "nasbench201", "--data", "digits"), "leave out --data"),
        (("a.toml", "--space", "regnet", "--device", "cafebabe"), "no device named 'cafebabe'"),
        (("a.toml", "--space", "regnet", "--device", 'a"b'), "no device named"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    arguments: tuple[str, ...], law: str, tailorbird: Tailorbird
) -> None:
    Path("there.toml").write_text("")
    code, _, err = tailorbird("init", *arguments)
    assert code == 2
    assert law in err
    assert not Path("a.toml").exists()
    assert not Path("there.toml").read_text()
    assert {path.name for path in Path().iterdir()} <= {"there.toml", "machine"}  # of its locks


def test_texts_are_written_as_toml_takes_them(tailorbird: Tailorbird) -> None:
    Path('odd "name" \\ here/train/cat').mkdir(parents=True)
    Path('odd "name" \\ here/train/dog').mkdir(parents=True)
    data = './odd "name" \\ here'
    assert tailorbird("init", "a.toml", "--space", "regnet", "--data", data)[0] == 0
    made, _ = recipes.load(Path("a.toml"))
    assert made.accuracy.data == data
    assert tailorbird("init", f"{'a' * 130}.toml", "--space", "regnet")[0] == 0


@pytest.mark.long
def test_on_a_terminal_it_asks(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "tailorbird", "init", "a.toml"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.write(ours, b"digits-elastic\n\n\n")
    out, _ = done.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0
    assert "Which networks" in out
    made, _ = recipes.load(tmp_path / "a.toml")
    assert (made.space.name, made.accuracy.data, made.device.name) == (
        "digits-elastic",
        "digits",
        "local",
    )
