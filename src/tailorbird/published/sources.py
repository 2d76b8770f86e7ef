"""Original files of published tables: repository, commit, path and checksum of each."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

_PICKLE = ".pd"
"""Suffix of pickles of pandas. They are not read, so they are not fetched either."""


@dataclass(frozen=True, slots=True)
class Original:
    """A file in a public repository at a fixed commit.

    Attributes:
        repository: owner and name on GitHub.
        commit: 40 hexadecimal digits.
        path: within the repository.
        licence: of the repository, by its SPDX identifier.
        n_bytes: size of the file.
        sha256: of its content, in hexadecimal digits.
    """

    repository: str
    commit: str
    path: str
    licence: str
    n_bytes: int
    sha256: str

    def url(self, host: str) -> str:
        """Returns the URL on GitHub's host of raw files, or on a mirror with the same paths."""
        return f"{host}/{self.repository}/{self.commit}/{self.path}"

    def place(self, folder: Path) -> Path:
        """Returns the path of the file in a folder of data."""
        return folder / "originals" / self.repository / self.path


def originals(name: str) -> tuple[Original, ...]:
    """Lists the files that a published table is made of, in the order of its columns or rows."""
    return tuple(one for one in _listed()[name] if not one.path.endswith(_PICKLE))


def names() -> tuple[str, ...]:
    """Lists the names of all published tables."""
    return tuple(_listed())


@cache
def _listed() -> dict[str, list[Original]]:
    text = files("tailorbird.published").joinpath("sources.json").read_text(encoding="utf-8")
    return {name: list(map(_original, stated)) for name, stated in json.loads(text).items()}


def _original(stated: dict[str, Any]) -> Original:
    keys = ("repository", "commit", "path", "licence", "bytes", "sha256")
    return Original(*(stated[key] for key in keys))
