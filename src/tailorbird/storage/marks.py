"""Marks in files of any format, by which those of one run are told from those of another."""

import hashlib
import mmap
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

MARK = "tailorbird_run"
"""Name of the mark: a field, an attribute or a key, whatever the format of a file has."""

_FOUND = re.compile(MARK.encode() + rb"[^0-9a-z]{1,16}?(?:content=\")?([0-9a-f]{16})")


def mark_of(contents: Iterable[str | bytes]) -> str:
    """Returns the mark of files with these contents: sixteen hex digits."""
    digest = hashlib.sha256()
    for content in contents:
        raw = content.encode() if isinstance(content, str) else content
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()[:16]


def torn(paths: Sequence[Path]) -> str | None:
    """Returns why files cannot be of one run; None if they may be.

    A process that is killed between two renames leaves some files of its own beside others of an
    earlier run, or beside none. Files without any mark are older than marks.

    Args:
        paths: of files that were written together.
    """
    existing = [path for path in paths if _is_there(path)]
    marks = {path: _read(path) for path in existing}
    if not any(marks.values()):
        return None
    missing = next((path for path in paths if path not in marks), None)
    if missing is not None:
        return f"{missing.name} is missing"
    first = existing[0]
    other = next((path for path in existing if marks[path] != marks[first]), None)
    return None if other is None else f"{first.name} and {other.name} are of two runs"


def has_mark(path: Path) -> bool:
    """True if a file bears a mark, so that it was written by us."""
    return _read(path) is not None


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110  # a name that is too long is not there


def _read(path: Path) -> bytes | None:
    if not path.is_file():  # a pipe would wait for a writer
        return None
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            match = _FOUND.search(raw)
            return match[1] if match else None
    except (OSError, ValueError):  # unreadable, empty
        return None
