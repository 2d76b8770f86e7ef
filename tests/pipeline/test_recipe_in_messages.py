"""Messages name the recipe at work: a command that they tell can be run as it stands."""

import ast
import json
import pickle
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_recipe import small

from tailorbird.errors import (
    MissingStepError,
    MissingWorkloadError,
    RecipeError,
    TailorbirdError,
    TooFewNeighboursError,
    naming,
    told_of,
)
from tailorbird.pipeline.opening import open_recipe
from tailorbird.pipeline.run import Run
from tailorbird.pipeline.run_folder import LOG
from tailorbird.storage.marks import MARK

Tailorbird = Callable[..., tuple[int, str, str]]
SOURCES = Path(__file__).parents[2] / "src" / "tailorbird"
COMMANDS = (
    ("profile",),
    ("table", "keys"),
    ("table", "import", "FILE"),
    ("compile", "FOLDER"),
)
IMPORTED = small("c", device="a board").replace("rounds = 2", 'runtime = "imported"')
paths = st.text(st.characters(exclude_characters="\0"), min_size=1).map(Path)


@given(paths, st.sampled_from(COMMANDS))
def test_a_shell_takes_the_command_as_it_stands(path: Path, command: tuple[str, ...]) -> None:
    names = [word for word in command if word.islower()]
    others = [word for word in command if word.isupper()]
    text = f"Do it with `{' '.join(['tailorbird', *names, 'RECIPE', *others])}`, or not."
    told = naming(text, path)
    inner = told.removeprefix("Do it with `").removesuffix("`, or not.")
    assert shlex.split(inner) == ["tailorbird", *names, str(path), *others]
    assert naming(told, Path("another.toml")) == told or path == Path("RECIPE")
    assert naming(text, None) == text


@pytest.mark.parametrize(
    "text",
    ["RECIPE", "[space] name = 'RECIPE'", "`RECIPE`", "`cook RECIPE`", "tailorbird profile RECIPE"],
)
def test_what_is_no_command_of_ours_is_left_alone(text: str) -> None:
    assert naming(text, Path("a.toml")) == text


def literals(path: Path) -> Iterator[str]:
    """Texts of a module that are no documentation, each with holes where values go."""
    tree = ast.parse(path.read_text())
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    within = {id(value) for text in texts for value in text.values}
    within |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for text in texts:
        parts = [value.value if isinstance(value, ast.Constant) else "…" for value in text.values]
        yield "".join(map(str, parts))
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    yield from (
        node.value for node in constants if isinstance(node.value, str) and id(node) not in within
    )


def test_every_recipe_in_a_message_stands_in_a_command() -> None:
    modules = (path for path in SOURCES.rglob("*.py") if path.parent.name != "cli")
    texts = [
        text
        for path in modules
        if path.name != "errors.py" and "RECIPE" in path.read_text()
        for text in literals(path)
        if re.search(r"\bRECIPE\b", text)
    ]
    assert len(texts) > 10
    assert [text for text in texts if "RECIPE" in naming(text, Path("a.toml"))] == []


@pytest.mark.parametrize(
    ("error", "command"),
    [
        (MissingStepError("Run `tailorbird train RECIPE`."), "`tailorbird train a.toml`"),
        (MissingWorkloadError(["a"], 2, "RECIPE"), "`tailorbird profile a.toml`"),
        (TooFewNeighboursError(["a"], "conv", 1, 5), "`tailorbird table import a.toml FILE`"),
    ],
)
def test_errors_name_the_recipe_that_was_at_work_first(
    error: TailorbirdError, command: str
) -> None:
    assert "RECIPE" in str(error)
    with pytest.raises(type(error)), told_of(Path("b.toml")), told_of(Path("a.toml")):
        raise error
    assert command in str(error)
    assert command in str(pickle.loads(pickle.dumps(error)))
    assert "'RECIPE'" in str(error) or not isinstance(error, MissingWorkloadError)


def test_the_command_line_names_the_path_as_it_was_given(tailorbird: Tailorbird) -> None:
    Path("my recipes").mkdir()
    Path("a.toml").write_text(small("a"))
    Path("my recipes/b.toml").write_text(small("b"))
    _, _, err = tailorbird("table", "show", "a.toml")
    assert "Make it with `tailorbird profile a.toml`." in err
    for command in ("table export", "table show"):
        _, _, err = tailorbird(*command.split(), "my recipes/b.toml", *["t.csv"][: "ex" in command])
        assert "Make it with `tailorbird profile 'my recipes/b.toml'`." in err
    Path("runs/a").mkdir(parents=True)  # has a table without rows, so that the other is at fault
    _, _, err = tailorbird("table", "diff", "a.toml", "my recipes/b.toml")
    assert "Make it with `tailorbird profile 'my recipes/b.toml'`." in err
    Path("c.toml").write_text(IMPORTED)
    _, _, err = tailorbird("table", "show", "c.toml")
    assert "Import it with `tailorbird table import c.toml FILE`." in err


def test_a_search_names_the_path_too(tailorbird: Tailorbird) -> None:
    Path("c.toml").write_text(IMPORTED)
    code, out, err = tailorbird("search", "c.toml", "--json")
    assert (code, out) == (2, "")
    assert "Import it with `tailorbird table import c.toml FILE`." in err


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text(small("own"))
    return open_recipe(Path("own.toml"))


def test_calls_from_python_name_it(run: Run) -> None:
    with pytest.raises(MissingStepError, match=r"Make it with `tailorbird run own\.toml`"):
        run.export(None, None, Path("network"))
    of_no_file = replace(run, path=None)
    with pytest.raises(MissingStepError, match=r"Make it with `tailorbird run RECIPE`"):
        of_no_file.export(None, None, Path("network"))
    with pytest.raises(MissingStepError, match=r"profile own\.toml`"), run.held():
        raise run.latency.no_table()


class Refusing:
    """A source of which nothing can be had."""

    def __getattr__(self, name: str) -> Any:
        raise RecipeError("Make it with `tailorbird profile RECIPE`.")


@pytest.mark.parametrize("step", ["run", "profile", "adapt", "train", "search", "report", "export"])
def test_every_step_names_it(run: Run, step: str) -> None:
    refusing = cast("Any", Refusing())
    broken = replace(run, latency=refusing, accuracy=refusing)
    with pytest.raises(RecipeError, match=r"`tailorbird profile own\.toml`"):
        getattr(broken, step)()


def test_warnings_and_logs_name_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.folder.mkdir(parents=True)
    (run.folder / "recipe.toml").write_text(f'# {MARK} = "0123456789abcdef"')
    with run.held():
        LOG.info("RECIPE is the user's word; `tailorbird profile RECIPE` is ours")
    for text in (capsys.readouterr().err, (run.folder / "run.log").read_text()):
        assert "`tailorbird report own.toml`, or `run`, writes it again" in text
    assert "RECIPE is the user's word; `tailorbird profile own.toml` is ours" in text


def test_warnings_while_a_recipe_is_opened_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tailorbird.pipeline.latency_sources import registry

    opened = registry.opened

    def warning(asked: Any) -> Any:
        asked.warn("first `tailorbird profile RECIPE`")
        return opened(asked)

    monkeypatch.setattr(registry, "opened", warning)
    path = tmp_path / "it's mine.toml"
    path.write_text(small())
    told: list[str] = []
    open_recipe(path, warn=told.append)
    assert told == [f"first `tailorbird profile {shlex.quote(str(path))}`"]


def test_remarks_of_a_report_name_it(run: Run) -> None:
    said = SimpleNamespace(remarks=lambda: ("`tailorbird adapt RECIPE`",), losses=("RECIPE",))
    speaking = replace(run, latency=cast("Any", said), accuracy=cast("Any", said))
    named = "`tailorbird adapt own.toml`"
    assert speaking.remarks() == (named, "RECIPE", named)


def test_devices_tell_why_a_recipe_cannot_be_opened(tailorbird: Tailorbird) -> None:
    Path("a.toml").write_text(small("a"))
    store = Path("runs/a/store.sqlite")
    store.parent.mkdir(parents=True)
    store.write_bytes(b"no database")
    code, out, _ = tailorbird("devices", "a.toml", "--json")
    assert code == 0
    assert "runs/a/store.sqlite" in json.loads(out)[-1]["reason"]
