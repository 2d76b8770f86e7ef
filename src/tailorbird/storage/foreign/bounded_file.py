"""Files of others, of which no more is read or unpacked than a table can be long."""

import gzip
import io
import stat
import zlib
from pathlib import Path

from tailorbird.errors import RecipeError

LARGEST_BYTES = 64 * 2**20
"""Size limit of a file, and of what it unpacks to."""

_MIB = 2**20


def read(path: Path, most_bytes: int = LARGEST_BYTES, what: str = "A table") -> bytes:
    """The content of a plain file.

    Args:
        path: of the file.
        most_bytes: that it may have.
        what: it should be, for messages.

    Raises:
        RecipeError: if it is no plain file, has more bytes, or cannot be read.
    """
    try:
        status = path.stat()
        _check_kind(status.st_mode, path, what)
        with path.open("rb") as file:
            content = file.read(most_bytes + 1) if status.st_size <= most_bytes else None
    except RecipeError:
        raise
    except OSError as error:
        raise RecipeError(f"The file {str(path)!r} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # a path that holds NUL
        raise RecipeError(f"The file {str(path)!r} cannot be read: {error}.") from None
    if content is None or len(content) > most_bytes:
        size = f"has {status.st_size / _MIB:,.1f}" if status.st_size > most_bytes else "grows"
        raise _too_large(path, size, most_bytes, what)
    return content


def _check_kind(mode: int, path: Path, what: str) -> None:
    if stat.S_ISDIR(mode):
        raise RecipeError(f"{what} must be a file, but {str(path)!r} is a folder.")
    if not stat.S_ISREG(mode):  # a pipe may wait for ever, a device may never end
        raise RecipeError(
            f"{what} must be a plain file, but {str(path)!r} is a pipe, a socket or a device. "
            "Write what it gives to a file."
        )


def unpacked(
    packed: bytes, path: Path, most_bytes: int = LARGEST_BYTES, what: str = "A table"
) -> bytes:
    """What gzip compressed.

    Args:
        packed: content of a file.
        path: of that file, for messages.
        most_bytes: that may come out of it; no more is unpacked.
        what: it should be, for messages.

    Raises:
        RecipeError: if it is torn, or more comes out.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            content = file.read(most_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RecipeError(
            f"The file {str(path)!r} is torn, or not compressed by gzip ({error})."
        ) from None
    if len(content) > most_bytes:
        raise _too_large(path, "unpacks to more", most_bytes, what)
    return content


def _too_large(path: Path, size: str, most_bytes: int, what: str) -> RecipeError:
    return RecipeError(
        f"{what} may have {most_bytes / _MIB:g} MiB, but {str(path)!r} {size}. Look whether it is "
        "the file that you mean, and leave out what is not needed."
    )
