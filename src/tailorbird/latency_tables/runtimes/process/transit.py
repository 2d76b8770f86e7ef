"""A folder for programs and arrays in transit."""

import itertools
import shutil
from pathlib import Path


class TransitFolder:
    """Gives paths within a folder, which is emptied before its first use.

    Args:
        folder: that nothing else writes to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = itertools.count()
        self._is_emptied = False

    def path(self) -> Path:
        """Returns the folder, made and emptied."""
        if not self._is_emptied:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            self._is_emptied = True
        return self._folder

    def new_path(self, suffix: str = "") -> Path:
        """Returns a path in the folder; nothing else has its stem."""
        return self.path() / f"{next(self._names)}{suffix}"
