"""Help of commands: each has an example that its own command line takes."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from tailorbird.cli.app import app


def commands(group: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*names, name))
        else:
            yield (*names, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_a_command_has_an_example_that_is_right(names: tuple[str, ...]) -> None:
    command = COMMANDS[names]
    examples = re.findall(r"`tailorbird ([^`]+)`", command.help.partition("Example")[2])
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert tuple(words[: len(names)]) == names
        command.make_context(names[-1], words[len(names) :])  # refuses what it does not know
