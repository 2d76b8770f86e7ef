"""Errors that nobody foresaw: whose code they come from, and a log with their traceback."""

import os
import site
import sys
import sysconfig
import tempfile
import traceback
from pathlib import Path
from traceback import FrameSummary

from tailorbird import __version__

_INSTALLED = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
_NOT_THE_USERS = (
    f"{Path(__file__).resolve().parent}{os.sep}",
    *(f"{path}{os.sep}" for name, path in sysconfig.get_paths().items() if name in _INSTALLED),
    *(f"{path}{os.sep}" for path in (*site.getsitepackages(), site.getusersitepackages())),
    "<",  # such as <string>, of dataclasses
)


def users_frame(error: BaseException) -> FrameSummary | None:
    """The innermost place in the user's own code that an error came through, if there is any."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(_NOT_THE_USERS):
            return frame
    return None


def in_a_line(error: BaseException) -> str:
    """Type and message of an error."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


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
