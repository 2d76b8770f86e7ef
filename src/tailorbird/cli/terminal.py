"""Output of commands: all that they print goes through here, whoever wrote it."""

import typer

from tailorbird.progress import printable
from tailorbird.storage import strict_json


def echo(text: str, *, err: bool = False) -> None:
    """Prints a text, its control characters escaped, on standard output or standard error."""
    typer.echo(printable(text), err=err)


def echo_json(value: object) -> None:
    """Prints strict JSON on standard output."""
    echo(strict_json.dumps(value))
