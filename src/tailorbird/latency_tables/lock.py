"""Files that processes of one machine hold one at a time; the kernel frees them when one dies."""

import fcntl
import logging
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

_LOG = logging.getLogger("tailorbird")


@contextmanager
def timing_lock(machine: str) -> Iterator[None]:
    """Held while a machine is timed, by one process of all users of this machine.

    filelock refuses files of other users in a folder that all may write to, so it is not used.
    """
    path = Path(tempfile.gettempdir()) / f"tailorbird-{machine}.lock"
    try:
        number = _open_shared(path)
    except PermissionError:
        own = path.with_suffix(f".{os.getuid()}.lock")
        _LOG.warning(
            "%s belongs to another user and cannot be read, so their timing and ours may overlap; "
            "ours is kept apart by %s.",
            path,
            own,
        )
        number = _open_shared(own)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


@contextmanager
def seat(folder: Path | None = None) -> Iterator[str]:
    """A name that no other living process of this machine has, taken from the dead first.

    Who takes the seat of a killed profiler has its name, and with it what it had claimed: nobody
    waits for leases of the dead.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"tailorbird-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in count():
        descriptor = os.open(folder / f"seat-{number}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        try:
            name = os.pread(descriptor, 100, 0).decode()
            if len(name) != len(str(uuid.UUID(int=0))):  # new, or torn by a kill
                name = str(uuid.uuid4())
                os.pwrite(descriptor, name.encode(), 0)
            yield name
        finally:
            os.close(descriptor)
        return


def _open_shared(path: Path) -> int:
    """A descriptor that can be locked; a file of another user need only be readable."""
    try:
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with suppress(PermissionError):
        os.fchmod(number, 0o666)  # whatever this user's umask says
    return number
