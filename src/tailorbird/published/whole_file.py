"""Files of the data folder: each is whole, or not there."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tailorbird.errors import FetchError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes its name when all of it is there.

    Until then it lies beside it as `.NAME.part`, which one process at a time may write; what a
    killed one left there is removed.

    Raises:
        FetchError: if it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with part.open("xb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise not_written(path, error) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def not_written(path: Path, error: OSError) -> FetchError:
    """The error of a file that the data folder did not take."""
    room = "make room, or " if error.errno in _FULL else ""
    return FetchError(
        f"{str(path)!r} cannot be written: {error.strerror or error}. What was fetched stays: "
        f"{room}name another folder in the environment variable TAILORBIRD_DATA, and try again."
    )
