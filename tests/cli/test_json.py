"""Output for scripts: every command that makes or shows something prints JSON if it is asked to."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from small_recipe import small

from tailorbird.cli.app import app

PLAIN = {"keys"}  # prints lines that are keys, and nothing else


def commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def test_every_command_has_the_option() -> None:
    without = {
        name
        for name, command in commands(typer.main.get_command(app))
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert {name.split()[-1] for name in without} == PLAIN


def test_what_was_trained_and_moved_is_told(
    tailorbird: Callable[..., tuple[int, str, str]],
) -> None:
    Path("r.toml").write_text(small("r", device="epyc-avx512").replace("batch = 4", "batch = 16"))
    code, out, err = tailorbird("train", "r.toml", "--json")
    assert code == 0, err
    trained = json.loads(out)
    assert trained["place"] == "runs/r/weights"
    assert len(trained["weights"]) == 12
    code, out, err = tailorbird("table", "export", "r.toml", "t.csv", "--json")
    assert code == 0, err
    exported = json.loads(out)
    assert exported["file"] == "t.csv"
    assert exported["n_rounds"] > 0
    assert tailorbird("data", "get", "nothing", "--json")[0] == 2
