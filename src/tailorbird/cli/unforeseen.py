"""Errors of any kind that ended a command, and a log of those that nobody foresaw."""

import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

import typer

from tailorbird import __version__


class EndedError(Exception):
    """Wrapper of an error that was raised inside a command.

    Without it, typer would take some errors for its own, such as `sys.exit` of a user's module.

    Attributes:
        error: as it was raised.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps the body of a command, so that its errors, and Ctrl-C, come as `EndedError`."""

    @functools.wraps(command)
    def body(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except typer.Exit:
            raise
        except BaseException as error:
            raise EndedError(error) from error

    return body


def keep(error: BaseException) -> str:
    """Writes a log that only this user can read; returns its path, or why there is none."""
    text = "\n".join(
        [
            f"tailorbird {__version__}, Python {sys.version}",
            " ".join(sys.argv),
            *traceback.format_exception(error),
        ]
    )
    try:
        descriptor, path = tempfile.mkstemp(prefix="tailorbird-", suffix=".log")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as log:
            log.write(text)
    except OSError as refused:
        return f"nowhere, as none can be written ({refused.strerror})"
    return path
