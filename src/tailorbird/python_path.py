"""What users name in a recipe by its Python path."""

import importlib
import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tailorbird.errors import RecipeError, in_a_line

_HOMES: set[str] = set()
_NAMED: set[str] = set()
"""Folders of recipes, and files or packages that they named, in this process."""

_INSTALLED = ("stdlib", "platstdlib", "purelib", "platlib")


def resolve(path: str, folder: Path, key: str) -> Callable[..., Any]:
    """What `package.module:name` names; the recipe's folder is where modules are found first.

    Args:
        path: as in the recipe.
        folder: of the recipe.
        key: of the recipe, for errors.

    Raises:
        RecipeError: if there is no such module or name, or it cannot be called.
    """
    module, _, name = path.partition(":")
    where = str(folder.resolve())
    _HOMES.add(where)
    if where not in sys.path:
        sys.path.insert(0, where)
    try:
        found = getattr(importlib.import_module(module), name)
        _NAMED.add(_root(sys.modules[module.partition(".")[0]]))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # the user's code runs, sys.exit() included
        raise RecipeError(
            f"{key} = {path!r} names nothing that can be imported ({in_a_line(error)}). "
            f"Modules are looked for in {where!r} and where Python looks."
        ) from None
    if not callable(found):
        raise RecipeError(f"{key} = {path!r} must name what can be called, but got {found!r}.")
    called: Callable[..., Any] = found
    return called


def is_users(file: str) -> bool:
    """Whether code of that file is what recipes named, or lies in their folders."""
    path = str(Path(file).resolve())
    if any(path == named or path.startswith(f"{named}{os.sep}") for named in _NAMED):
        return True
    installed = (sysconfig.get_paths()[name] for name in _INSTALLED)
    lies_in = any(path.startswith(f"{home}{os.sep}") for home in _HOMES)
    return lies_in and not any(path.startswith(f"{folder}{os.sep}") for folder in installed)


def _root(module: ModuleType) -> str:
    """Its file, or the folder of a package; what has none is nobody's."""
    path = Path(module.__file__ or os.devnull).resolve()
    return str(path.parent if hasattr(module, "__path__") else path)
