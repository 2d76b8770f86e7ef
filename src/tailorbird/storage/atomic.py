"""Atomic writes: a file takes its name once all of it is there, or what stood there stays."""

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tailorbird.errors import FullDiskError, WriteError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Error numbers of the system when a disk takes no more."""

_LONGEST = 200  # bytes of a name; file systems take 255 at most
_PART = re.compile(r"\.(\d+)-[0-9a-f]{8}\.part")


def write(path: Path, content: bytes | str) -> None:
    """Writes one file, text as UTF-8.

    Raises:
        WriteError: if it cannot be written; what stood there stays.
    """
    with written(path) as (part,):
        part.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def written(*paths: Path) -> Iterator[list[Path]]:
    """Gives files to write beside their targets, which they replace when the block ends well.

    Files that belong together are written in one block: nothing is renamed before all are there.
    Between two renames a process can still be killed, which `marks` tells.

    Args:
        paths: of the targets; missing folders are made, and links lead to what they name.

    Yields:
        A path for each target, of an empty file with the permissions of a new one.

    Raises:
        WriteError: if a target cannot be written; then all of them are as they were, unless the
            system refuses to rename one after others, which `marks` tells as well.
    """
    parts: list[Path] = []
    current = paths[0]
    try:
        targets = [Path(os.path.realpath(path)) for path in paths]
        for path, target in zip(paths, targets, strict=True):
            current = path
            _check_place(path)
            make_folder(target.parent)
            _sweep(target)
            part = target.with_name(f"{_begin(target)}.{os.getpid()}-{secrets.token_hex(4)}.part")
            part.touch(exist_ok=False)
            parts.append(part)
        modes = [part.stat().st_mode & 0o777 for part in parts]
        current = paths[0]
        yield parts
        for path, part, target, mode in zip(paths, parts, targets, modes, strict=True):
            current = path
            part.chmod(mode)  # some libraries write files that only this user can read
            part.replace(target)
    except OSError as error:
        names = dict(zip(map(str, parts), paths, strict=False))
        raise refusal(names.get(str(error.filename), current), error) from None
    finally:
        for part in parts:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def refusal(path: Path, error: OSError) -> WriteError:
    """Returns the error for a file that the system refused to write."""
    return (FullDiskError if error.errno in FULL else WriteError)(path, error)


def make_folder(folder: Path) -> None:
    """Makes a folder, and those above it, unless it is there.

    Raises:
        OSError: if it cannot be made, such as for a file that has its name.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def _check_place(path: Path) -> None:
    """Refuses to write in place of a folder, or of a device such as /dev/full."""
    if not path.name.isprintable():
        raise OSError(errno.EINVAL, "its name holds control characters")
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EEXIST, "it is a pipe, a socket or a device")


def _sweep(target: Path) -> None:
    """Removes parts that killed processes left beside a target."""
    begin = _begin(target)
    for path in target.parent.iterdir():
        if not path.name.startswith(begin):
            continue
        part = _PART.fullmatch(path.name[len(begin) :])
        if part and not _is_alive(int(part[1])):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _begin(target: Path) -> str:
    """Beginning of the names of a target's parts, cut to what file systems take."""
    return "." + os.fsdecode(os.fsencode(target.name)[:_LONGEST])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
