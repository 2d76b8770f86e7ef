"""Atomic writes to the data folder: each file is whole, or not there."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tailorbird.errors import FetchError, WriteError
from tailorbird.storage.atomic import written

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Gives a file to write, which takes its name when all of it is there.

    Raises:
        FetchError: if it cannot be written.
    """
    try:
        with written(path) as (part,), part.open("wb") as file:
            yield file
    except WriteError as error:
        raise not_written(path, error.reason) from None


def not_written(path: Path, error: OSError) -> FetchError:
    """Returns the error of a file that cannot be written to the data folder."""
    room = "make room, or " if error.errno in _FULL else ""
    return FetchError(
        f"{str(path)!r} cannot be written: {error.strerror or error}. What was fetched stays: "
        f"{room}name another folder in the environment variable TAILORBIRD_DATA, and try again."
    )
