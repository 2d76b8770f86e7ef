"""Errors that ended a command, whatever they are: whose they may be, and a log for ours."""

import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from traceback import FrameSummary
from typing import Any

import typer

from tailorbird import __version__


class EndedError(Exception):
    """What somebody raised inside a command.

    The command line would take some errors for its own, such as `sys.exit` of a user's module.

    Attributes:
        error: as it was raised.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """The body of a command, whose errors come as `EndedError`, and Ctrl-C likewise."""

    @functools.wraps(command)
    def body(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except typer.Exit:
            raise
        except BaseException as error:
            raise EndedError(error) from error

    return body


def innermost(error: BaseException, is_theirs: Callable[[str], bool]) -> FrameSummary | None:
    """The last place that an error came through in files of somebody; None if there is none."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((frame for frame in frames if is_theirs(frame.filename)), None)


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
