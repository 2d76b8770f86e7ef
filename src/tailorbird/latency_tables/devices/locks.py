"""Files that processes hold one at a time; the kernel frees them when one dies."""

import fcntl
import hashlib
import os
import platform
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from tailorbird.errors import LockError

_VARIABLE = "XDG_RUNTIME_DIR"


@contextmanager
def timing_lock(machine: str) -> Iterator[None]:
    """Lock of a machine while it is timed: one process of this user holds it at a time.

    What other users time meanwhile is not seen here; the reference beside each round shows it.

    Raises:
        LockError: if the file or its folder is not what it must be.
    """
    # Homes, and so caches, may be shared by many hosts; a server may call itself anything.
    which = hashlib.sha256(f"{machine}@{platform.node()}".encode()).hexdigest()[:16]
    with _locks() as folder, folder.file(f"timing-{which}") as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def seat() -> Iterator[str]:
    """Reserves an owner name for this process; names of dead processes are reused first.

    Whoever takes the name of a killed profiler has its claims as well: nobody waits until the
    leases of dead processes end.

    Raises:
        LockError: if a file or its folder is not what it must be.
    """
    with _locks() as folder:
        for number in count():
            with folder.file(f"seat-{number}") as descriptor:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield _name_in(descriptor)
                return


@contextmanager
def file_lock(path: Path, timeout_s: float) -> Iterator[None]:
    """Lock for files that several processes work on, of any user who may write there.

    Args:
        path: of the lock.
        timeout_s: how long to wait for another; for ever if negative.

    Raises:
        filelock.Timeout: if another holds it for longer.
        LockError: if there is no lock to be had at that path.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        raise
    except OSError as error:
        raise _no_lock(path, error.strerror) from None
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise _no_lock(path, "it is a pipe, a device, or has another name as well")
        yield
    finally:
        lock.release()


def _name_in(descriptor: int) -> str:
    try:
        return str(uuid.UUID(os.pread(descriptor, 100, 0).decode()))
    except ValueError:  # new, or torn by a kill
        name = str(uuid.uuid4())
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, name.encode(), 0)
        return name


@dataclass(frozen=True, slots=True)
class _Folder:
    """Folder of this user's locks, opened once.

    Attributes:
        path: for messages.
        descriptor: through which files are opened, so that nothing can be slipped in between.
    """

    path: Path
    descriptor: int

    @contextmanager
    def file(self, name: str) -> Iterator[int]:
        """The descriptor of a plain file, made if it is not there."""
        law, path = "A lock must be a plain file of this user", self.path / name
        how = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK  # pipes wait for readers
        try:
            descriptor = os.open(name, how, 0o600, dir_fd=self.descriptor)
        except OSError as error:
            raise _refusal(law, path, error.strerror) from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                raise _refusal(law, path, "it is a pipe, or has another name as well")
            if status.st_uid != os.getuid():
                raise _refusal(law, path, "it is another user's")
            yield descriptor
        finally:
            os.close(descriptor)


@contextmanager
def _locks() -> Iterator[_Folder]:
    law, path = "The folder for locks must be a plain folder of this user", _place()
    try:
        if not path.is_absolute():
            raise _refusal(law, path, "no home is known")
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise _refusal(law, path, error.strerror) from None
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            raise _refusal(law, path, "it is another user's")
        os.fchmod(descriptor, 0o700)
        yield _Folder(path, descriptor)
    finally:
        os.close(descriptor)


def _place() -> Path:
    """Path of the folder for locks: in XDG_RUNTIME_DIR if that is this user's, else in the cache.

    Behind sudo it is another's.
    """
    runtime = Path(os.environ.get(_VARIABLE, ""))
    if runtime.is_absolute() and _is_private(runtime):
        return runtime / "tailorbird"
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():
        cache = Path(os.path.expanduser("~"), ".cache")  # noqa: PTH111  # Path.expanduser raises without a home
    return cache / "tailorbird" / "locks"


def _is_private(folder: Path) -> bool:
    try:
        status = folder.stat()
    except OSError:
        return False
    is_open = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not is_open


def _no_lock(path: Path, reason: str | None) -> LockError:
    return LockError(
        f"A lock must be a plain file, but {str(path)!r} is not to be used ({reason}). Remove what "
        "is there, or work in a folder of your own."
    )


def _refusal(law: str, path: Path, reason: str | None) -> LockError:
    return LockError(
        f"{law}, but {str(path)!r} is not to be used ({reason}). Remove what is there, or name a "
        f"folder of your own in {_VARIABLE}."
    )
