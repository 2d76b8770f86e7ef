"""Output of commands: all that they print goes through here, whoever wrote it."""

from collections.abc import Mapping

import typer

from tailorbird.progress import printable
from tailorbird.storage import strict_json


def echo(text: str, *, err: bool = False) -> None:
    """Prints a text, its control characters escaped, on standard output or standard error."""
    typer.echo(printable(text), err=err)


def echo_json(value: object) -> None:
    """Prints strict JSON on standard output."""
    echo(strict_json.dumps(value))


def tell(sentence: str, facts: Mapping[str, object], as_json: bool) -> None:
    """Prints what a command made, for people or for scripts."""
    if as_json:
        echo_json(facts)
    else:
        echo(sentence)
