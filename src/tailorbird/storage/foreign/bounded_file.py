"""Bytes of files that others wrote, read and unpacked up to a limit."""

import errno
import gzip
import io
import os
import stat
import zlib
from pathlib import Path

from tailorbird.errors import RecipeError

LARGEST_BYTES = 64 * 2**20
"""Size limit of a file, and of what it unpacks to."""

NOT_PLAIN = "a pipe, a socket or a device"
"""What is neither a file nor a folder."""

_MIB = 2**20


class NotPlainError(OSError):
    """A pipe, which may wait for ever, or a device, which may never end."""


class OversizeError(ValueError):
    """More bytes than may be read; says how many as the end of a sentence about the file."""


def content(path: Path, most_bytes: int = LARGEST_BYTES) -> bytes:
    """Reads a plain file.

    Raises:
        NotPlainError: if it is neither a file nor a folder.
        OversizeError: if it has more bytes, of which no more than one is read.
        OSError: if it is a folder, or cannot be read.
        ValueError: if the path holds NUL.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise NotPlainError(errno.EINVAL, f"it is {NOT_PLAIN}")
    if status.st_size > most_bytes:
        raise OversizeError(f"has {status.st_size / _MIB:,.1f}")
    with path.open("rb") as file:
        return _at_most(most_bytes, file.read(most_bytes + 1), "grows")


def gunzipped(packed: bytes, most_bytes: int = LARGEST_BYTES) -> bytes:
    """Unpacks what gzip compressed.

    Raises:
        OversizeError: if more comes out, of which no more than one byte is unpacked.
        OSError, EOFError, zlib.error: if it is torn, or nothing of gzip's.
    """
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        return _at_most(most_bytes, file.read(most_bytes + 1), "unpacks to more")


def _at_most(most_bytes: int, found: bytes, otherwise: str) -> bytes:
    if len(found) > most_bytes:
        raise OversizeError(otherwise)
    return found


def read(path: Path, most_bytes: int = LARGEST_BYTES, what: str = "A table") -> bytes:
    """Reads a plain file that a user named.

    Args:
        path: of the file.
        most_bytes: that it may have.
        what: it should be, for messages.

    Raises:
        RecipeError: if it is no plain file, has more bytes, or cannot be read.
    """
    try:
        return content(path, most_bytes)
    except IsADirectoryError:
        raise RecipeError(f"{what} must be a file, but {str(path)!r} is a folder.") from None
    except NotPlainError:
        raise RecipeError(
            f"{what} must be a plain file, but {str(path)!r} is {NOT_PLAIN}. Write what it "
            "gives to a file."
        ) from None
    except OversizeError as error:
        raise _too_large(path, error, most_bytes, what) from None
    except OSError as error:
        raise RecipeError(f"The file {str(path)!r} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # a path that holds NUL
        raise RecipeError(f"The file {str(path)!r} cannot be read: {error}.") from None


def unpacked(
    packed: bytes, path: Path, most_bytes: int = LARGEST_BYTES, what: str = "A table"
) -> bytes:
    """Unpacks the content of a file that a user named, and that gzip compressed.

    Args:
        packed: content of a file.
        path: of that file, for messages.
        most_bytes: that may come out of it; no more is unpacked.
        what: it should be, for messages.

    Raises:
        RecipeError: if it is torn, or more comes out.
    """
    try:
        return gunzipped(packed, most_bytes)
    except OversizeError as error:
        raise _too_large(path, error, most_bytes, what) from None
    except (OSError, EOFError, zlib.error) as error:
        raise RecipeError(
            f"The file {str(path)!r} is torn, or not compressed by gzip ({error})."
        ) from None


def _too_large(path: Path, error: OversizeError, most_bytes: int, what: str) -> RecipeError:
    return RecipeError(
        f"{what} may have {most_bytes / _MIB:g} MiB, but {str(path)!r} {error}. Look whether it is "
        "the file that you mean, and leave out what is not needed."
    )
