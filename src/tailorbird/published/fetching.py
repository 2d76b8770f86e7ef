"""Downloads from public repositories: each file whole and with its known SHA-256, or not at all."""

import hashlib
import re
import stat
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import pooch
import requests
from urllib3.exceptions import HTTPError

from tailorbird.errors import FetchError, RecipeError
from tailorbird.published import faults
from tailorbird.published.sources import Original
from tailorbird.published.whole_file import not_written, whole_file

GITHUB = "https://raw.githubusercontent.com"
"""Host of raw files; a mirror takes its place."""

SECONDS = 30
"""Seconds that a host may send nothing."""

SLOWEST = 10_000
"""Least bytes a second, averaged over a download."""

_CHUNK = 128  # bytes; a host that is too slow is noticed only once so many came
_LONGEST_MOVE = 64_000  # bytes of the body of a redirect
_TRY_AGAIN = (
    "Try again, since what was fetched stays, or name another host with `--mirror URL`, or in the "
    "environment variable TAILORBIRD_MIRROR."
)


class _UnfitError(Exception):
    """A download is not the file, or too slow; the message says which."""


@dataclass(slots=True)
class _Arrival:
    """File that pooch writes a download to: one that is too long or too slow is refused early."""

    original: Original
    path: Path
    file: BinaryIO
    began: float = field(default_factory=time.monotonic)
    n_bytes: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def write(self, chunk: bytes) -> None:
        self.n_bytes += len(chunk)
        if self.n_bytes > self.original.n_bytes:
            raise _UnfitError(f"more came than the {self.original.n_bytes} bytes that it has")
        if time.monotonic() - self.began > SECONDS + self.original.n_bytes / SLOWEST:
            raise _UnfitError(f"it came more slowly than {SLOWEST / 1000:g} kB a second")
        self.digest.update(chunk)
        try:
            self.file.write(chunk)
        except OSError as error:  # told here, since errors of the host are OSErrors, too
            raise not_written(self.path, error) from None

    def flush(self) -> None:
        """Does nothing: closing flushes."""

    def check(self) -> None:
        """Refuses a download that is not the whole file."""
        if self.n_bytes < self.original.n_bytes:
            raise _UnfitError(f"only {self.n_bytes} of its {self.original.n_bytes} bytes came")
        if self.digest.hexdigest() != self.original.sha256:
            raise _UnfitError(
                f"what came does not have the SHA-256 {self.original.sha256}, and was not kept"
            )


def host_of(mirror: str) -> str:
    """Checks the URL of a mirror, which holds OWNER/NAME/COMMIT/PATH as GitHub's host does.

    Raises:
        RecipeError: if it is no address of HTTP, or more than that of a folder.
    """
    try:
        parts = urlsplit(mirror)
        name = parts.hostname or ""
        name.encode("idna")
        is_folder = not (parts.query or parts.fragment or re.search(r"\s", mirror))
        is_address = parts.scheme in ("http", "https") and name != "" and parts.port != 0
    except ValueError:  # as of a bracket that is not closed, or a port that is none
        is_address = is_folder = False
    if not is_address or not is_folder:
        shown = re.sub(r"^(\w+://)?.*@", r"\1", mirror, flags=re.DOTALL)
        raise RecipeError(
            f"A mirror must be an address such as https://example.org/files, but is {shown!r}."
        )
    return mirror.rstrip("/")


def fetch(original: Original, folder: Path, host: str) -> Path:
    """Downloads a file unless it is among the data already; returns its path there.

    Args:
        original: what to fetch.
        folder: of the data, in which no other process may fetch meanwhile.
        host: such as `GITHUB`.

    Raises:
        FetchError: if it cannot be had or kept; then nothing of it is left.
    """
    path = original.place(folder)
    if not _lies_there(original, path):
        with whole_file(path) as file:
            _download(original.url(host), _Arrival(original, path, file))
    return path


def _lies_there(original: Original, path: Path) -> bool:
    """True if the file at a path is the original.

    Raises:
        FetchError: if something else than a file is there, or it cannot be read.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _not_usable(path, "is no plain file")
        if found.st_size != original.n_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == original.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _not_usable(path, f"cannot be read ({error.strerror})") from None


def _not_usable(path: Path, reason: str) -> FetchError:
    return FetchError(
        f"An original must be a file that can be read, but {str(path)!r} {reason}. Move it away, "
        "or name another folder in the environment variable TAILORBIRD_DATA."
    )


def _download(url: str, arrival: _Arrival) -> None:
    try:
        with ExitStack() as responses:

            def closed_at_the_end(response: requests.Response, **_: Any) -> None:
                responses.callback(response.close)

            def bounded(response: requests.Response, **_: Any) -> None:
                _check_size(response, arrival.original.n_bytes)

            get = pooch.HTTPDownloader(
                chunk_size=_CHUNK,
                timeout=SECONDS,
                hooks={"response": [closed_at_the_end, bounded]},
            )
            get(url, arrival, None)
        arrival.check()
    except _UnfitError as error:
        reason = str(error)
    except (OSError, ValueError, HTTPError, HTTPException) as error:
        reason = faults.reason(error, url, SECONDS)
    else:
        return
    shown = faults.without_password(url)
    raise FetchError(f"{shown} cannot be fetched: {reason}. {_TRY_AGAIN}")


def _check_size(response: requests.Response, n_bytes: int) -> None:
    """Refuses an answer by the length that its head announces, before the body is read.

    The body of a redirect is read here: requests would read all of it.
    """
    if response.is_redirect:
        if len(response.raw.read(_LONGEST_MOVE + 1)) > _LONGEST_MOVE:
            raise _UnfitError(
                f"more than {_LONGEST_MOVE / 1000:g} kB came with the address of another place"
            )
    elif response.ok and "Content-Encoding" not in response.headers:
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced[:20]) > n_bytes:
            raise _UnfitError(f"the host announces {announced[:20]} bytes, but it has {n_bytes}")
