"""Fetches files from public repositories, each whole and with its known SHA-256, or not at all."""

import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import pooch
import requests

from tailorbird.errors import FetchError, RecipeError
from tailorbird.published.sources import Original

GITHUB = "https://raw.githubusercontent.com"
"""Host of raw files; a mirror takes its place."""

SECONDS = 30
"""How long a host may send nothing."""

_CHUNK = 65_536
_TRY_AGAIN = (
    "Try again, since what was fetched stays, or name another host with `--mirror URL`, or in the "
    "environment variable TAILORBIRD_MIRROR."
)


class _WrongSizeError(Exception):
    """More or fewer bytes came than the file has; the message says so."""


@dataclass(slots=True)
class _Bounded:
    """A file that takes so many bytes and no more, whatever a host sends."""

    file: BinaryIO
    n_bytes: int

    def write(self, chunk: bytes) -> None:
        if self.file.tell() + len(chunk) > self.n_bytes:
            raise _WrongSizeError(f"more came than the {self.n_bytes} bytes that it has")
        self.file.write(chunk)

    def flush(self) -> None:
        self.file.flush()


@dataclass(frozen=True, slots=True)
class _Download:
    """Downloads for pooch what must have so many bytes."""

    n_bytes: int

    def __call__(self, url: str, output_file: Any, pooch_: Any, check_only: bool = False) -> None:
        new = Path(output_file)
        new.chmod(0o644)  # pooch makes it for this user alone
        with new.open("wb") as file:
            get = pooch.HTTPDownloader(chunk_size=_CHUNK, timeout=SECONDS)
            get(url, _Bounded(file, self.n_bytes), pooch_)
        if (came := new.stat().st_size) < self.n_bytes:
            raise _WrongSizeError(f"only {came} of its {self.n_bytes} bytes came")


def host_of(mirror: str) -> str:
    """A mirror as a host: it holds OWNER/NAME/COMMIT/PATH as GitHub's does.

    Raises:
        RecipeError: if it is no address of HTTP.
    """
    try:
        parts = urlsplit(mirror)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # as of a bracket that is not closed
        is_address = False
    if not is_address:
        raise RecipeError(
            f"A mirror must be an address such as https://example.org/files, but is {mirror!r}."
        )
    return mirror.rstrip("/")


def fetch(original: Original, folder: Path, host: str) -> Path:
    """Where a file lies among the data; it is downloaded unless it is there already.

    Args:
        original: what to fetch.
        folder: of the data.
        host: such as `GITHUB`.

    Raises:
        FetchError: if it cannot be had or kept; then nothing of it is left.
    """
    url, path = original.url(host), original.place(folder)
    pooch.get_logger().setLevel("ERROR")  # what it does is told by our own progress
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(
            url,
            f"sha256:{original.sha256}",
            path.name,
            path.parent,
            downloader=_Download(original.n_bytes),
        )
    except (requests.RequestException, _WrongSizeError) as error:
        raise FetchError(f"{url} cannot be fetched: {_reason(error)}. {_TRY_AGAIN}") from None
    except OSError as error:
        raise not_written(path, error) from None
    except ValueError:  # by which pooch tells of a hash
        raise FetchError(
            f"{url} cannot be fetched: what came does not have the SHA-256 {original.sha256}, and "
            f"was not kept. {_TRY_AGAIN}"
        ) from None
    return path


def not_written(path: Path, error: OSError) -> FetchError:
    """The error of a file that the data folder did not take."""
    reason = error.strerror or os.strerror(errno.EACCES)  # which pooch leaves out
    return FetchError(
        f"{str(path)!r} cannot be written: {reason}. What was fetched stays: make room, or name "
        "another folder in the environment variable TAILORBIRD_DATA, and try again."
    )


def _reason(error: Exception) -> str:
    """What a user can make of a failed download."""
    if isinstance(error, _WrongSizeError):
        return str(error)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the host answered {error.response.status_code} {error.response.reason}".rstrip()
    causes = tuple(_causes(error))
    for kinds, told in _TOLD:
        if any(isinstance(cause, kinds) for cause in causes):
            return told
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0].rstrip('.')}"


_TOLD: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((socket.gaierror,), "the name of the host is unknown here, perhaps for want of a network"),
    (
        (requests.Timeout, TimeoutError),
        f"nothing came for {SECONDS} seconds",
    ),
    ((ConnectionRefusedError,), "the host refused the connection"),
    (
        (ConnectionError, requests.exceptions.ChunkedEncodingError),
        "the connection broke before all of it had come",
    ),
)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
