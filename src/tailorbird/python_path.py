"""What users name in a recipe by its Python path."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailorbird.errors import RecipeError


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
    if where not in sys.path:
        sys.path.insert(0, where)
    try:
        found = getattr(importlib.import_module(module), name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # the user's code runs, sys.exit() included
        raise RecipeError(
            f"{key} = {path!r} names nothing that can be imported ({type(error).__name__}: "
            f"{error}). Modules are looked for in {where!r} and where Python looks."
        ) from None
    if not callable(found):
        raise RecipeError(f"{key} = {path!r} must name what can be called, but got {found!r}.")
    called: Callable[..., Any] = found
    return called
