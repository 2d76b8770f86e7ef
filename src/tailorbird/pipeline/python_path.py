"""Users' own code, which recipes name by its Python path."""

import importlib
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from traceback import FrameSummary
from types import ModuleType
from typing import Any

from tailorbird.errors import (
    ContractError,
    MissingPackageError,
    RecipeError,
    TailorbirdError,
    in_a_line,
    naming_extras,
    raising,
)

_HOMES: set[str] = set()
_NAMED: set[str] = set()
"""Folders of recipes and of what they named, and what they named itself: files or packages."""

_PACKAGE = str(Path(__file__).resolve().parents[1])
_INSTALLED = ("stdlib", "platstdlib", "purelib", "platlib")


def resolve(path: str, folder: Path, key: str) -> Callable[..., Any]:
    """Imports what `package.module:name` names, from the recipe's folder first.

    Args:
        path: as in the recipe.
        folder: of the recipe.
        key: of the recipe, for errors.

    Raises:
        RecipeError: if there is no such module or name, or it cannot be called.
    """
    module, _, name = path.partition(":")
    if module == "__main__":
        raise RecipeError(
            f"{key} = {path!r} must name what other processes can import, and whose text is known, "
            "but a notebook or script is none of that. Write it to a file, such as my_code.py."
        )
    where = str(folder.resolve())
    _HOMES.add(where)
    if where not in sys.path:
        sys.path.insert(0, where)

    def unknown(error: BaseException) -> RecipeError:
        return RecipeError(
            f"{key} = {path!r} names nothing that can be imported ({in_a_line(error)}). "
            f"Modules are looked for in {where!r} and where Python looks."
        )

    with _apart(), raising(unknown, MissingPackageError), naming_extras():
        found = getattr(importlib.import_module(module), name)
        root = _root(sys.modules[module.partition(".")[0]])
        _NAMED.add(root)
        _HOMES.add(str(Path(root).parent))
    if not callable(found):
        raise RecipeError(
            f"{key} = {path!r} must name what can be called, but got {type(found).__name__}. "
            "Name a function or a class."
        )
    called: Callable[..., Any] = found
    return called


@contextmanager
def users_code(named: str, failed: str = "failed") -> Iterator[None]:
    """Runs a user's code: what it raises, `sys.exit()` included, is refused under its name.

    Args:
        named: where the recipe names it, such as `[accuracy] module = 'my_data:load'`.
        failed: what it did when it raised.

    Raises:
        RecipeError: if it raises anything, or breaks a contract; other errors of this package
            are passed on.
    """

    def refusal(error: BaseException) -> RecipeError:
        return RecipeError(f"{named} {failed} ({in_a_line(error)}).{_place(error)}")

    try:
        with _apart(), raising(refusal, TailorbirdError), naming_extras():
            yield
    except ContractError as error:
        raise RecipeError(f"{named}: {error}{_place(error.__cause__)}") from error


def _place(error: BaseException | None) -> str:
    """A sentence that names the line of a user's that raised it, if one did."""
    frame = None if error is None else users_frame(error)
    return "" if frame is None else f" See line {frame.lineno} of {frame.filename}."


@contextmanager
def _apart() -> Iterator[None]:
    """Undoes what users' code does to the process, once it is over.

    What it prints goes to standard error, since standard output is for results; a folder that it
    changes to is left again, and a process that it forks ends: what follows is its parent's work.
    """
    ours, folder = os.getpid(), Path.cwd()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if os.getpid() != ours:
            os._exit(1)
        os.chdir(folder)


def users_frame(error: BaseException) -> FrameSummary | None:
    """Innermost frame of an error in users' code; None if there is none."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((frame for frame in frames if is_users(frame.filename)), None)


def users_places() -> tuple[frozenset[str], frozenset[str]]:
    """What tells users' files in this process, for another one to `take_over`."""
    return frozenset(_HOMES), frozenset(_NAMED)


def take_over(places: tuple[frozenset[str], frozenset[str]]) -> None:
    """Has this process know users' files as the one does that `users_places` was asked in."""
    homes, named = places
    _HOMES.update(homes)
    _NAMED.update(named)


def is_users(file: str) -> bool:
    """True for files that recipes named, that lie beside these, or in folders of recipes.

    Files of this package are never a user's.
    """
    if file.startswith("<"):  # of Python itself, or made from a text
        return False
    path = str(Path(file).resolve())
    if path.startswith(
        f"{_PACKAGE}{os.sep}"
    ):  # which a recipe may name by its Python paths as well
        return False
    if any(path == named or path.startswith(f"{named}{os.sep}") for named in _NAMED):
        return True
    installed = (sysconfig.get_paths()[name] for name in _INSTALLED)
    lies_in = any(path.startswith(f"{home}{os.sep}") for home in _HOMES)
    return lies_in and not any(path.startswith(f"{folder}{os.sep}") for folder in installed)


def _root(module: ModuleType) -> str:
    """File of a module, or folder of a package; the null device if it has none."""
    path = Path(module.__file__ or os.devnull).resolve()
    return str(path.parent if hasattr(module, "__path__") else path)
